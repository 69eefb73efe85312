"""Make the virtual environment and install what `make run` or `make test` needs.

Everything comes from the lock files of `requirements/`, by version and hash; a file with another
hash is refused, and nothing falls back to an install without. The checkout itself is installed
last, without its dependencies and with the locked build tools.

Plain standard library and old syntax on purpose: it has to run, and say what is missing, on a
machine that has nothing yet. Works as often as it is called; a second call with unchanged
pyproject.toml and lock files installs nothing.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / "kiemchung.stamp"
OLDEST = (3, 11)
TORCH = "torch==2.13.0"
TORCH_INDEX = "KIEMCHUNG_TORCH_INDEX"
LOCKS = {"run": ("build", "default"), "test": ("build", "dev")}
SETS = {"run": "kiemchung's packages (a minute or two)", "test": "the development set"}
FREE_GB = {"run": 2, "test": 5}
NETWORK_SIGNS = (
    "NameResolutionError",
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Could not find a version",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "ProxyError",
    "SSLError",
)


def say(text):
    """Tell the person what goes on."""
    print("kiemchung: " + text, flush=True)


def stop(text):
    """End with what is missing and what to do."""
    say("cannot go on: " + text)
    raise SystemExit(1)


def check_machine(mode):
    """Stop when Python is too old, `venv` is missing or the disk is nearly full."""
    if sys.version_info[:2] < OLDEST:
        stop(
            f"Python {sys.version_info[0]}.{sys.version_info[1]} is too old; "
            "install Python 3.11 or newer and run "
            f"`make {mode} PYTHON=python3.11`"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop("this Python has no venv; on Debian and Ubuntu: apt-get install python3-venv")
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if not STAMP.is_file() and free < FREE_GB[mode]:
        stop(f"only {free:.1f} GB free here, {FREE_GB[mode]} GB are needed")


def fingerprint(mode):
    """Return what an up-to-date environment is recognised by."""
    declared = (ROOT / "pyproject.toml").read_bytes()
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        declared += path.read_bytes()
    return mode + " " + hashlib.sha256(declared + sys.version.encode()).hexdigest()


def python():
    """Return the environment's interpreter."""
    folder = "Scripts" if os.name == "nt" else "bin"
    return str(VENV / folder / "python")


def pip(arguments, what):
    """Run pip and explain a failure."""
    say("installing " + what + " ...")
    command = [python(), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    if not sys.stdout.isatty():
        command[4:4] = ["--quiet", "--progress-bar", "off"]
    result = subprocess.run(command, cwd=str(ROOT), stderr=subprocess.PIPE, text=True)
    if result.returncode == 0:
        return
    sys.stderr.write(result.stderr)
    if "DO NOT MATCH THE HASHES" in result.stderr:
        stop(
            "a file of " + what + " is not the one that the lock names; the lines above say which. "
            "Nothing of it was installed. Ask where your package index got that file before you "
            "do anything else"
        )
    if "No space left on device" in result.stderr:
        stop("the disk is full; free some space and run the same command again")
    if any(sign in result.stderr for sign in NETWORK_SIGNS):
        stop(
            "the package registry did not give " + what + "; check the network (or your pip "
            "proxy and index settings) and run the same command again"
        )
    stop("pip could not install " + what + "; the lines above say why")


def make_environment(mode):
    """Make the environment unless it is there and up to date."""
    wanted = fingerprint(mode)
    have = STAMP.read_text() if STAMP.is_file() else ""
    if have and (have == wanted or have == fingerprint("test")) and Path(python()).exists():
        say("the environment in .venv is up to date")
        return
    if not Path(python()).exists():
        say("making the environment in .venv with Python " + sys.version.split()[0] + " ...")
        shutil.rmtree(str(VENV), ignore_errors=True)
        result = subprocess.run([sys.executable, "-m", "venv", str(VENV)])
        if result.returncode:
            stop("the environment could not be made; the lines above say why")
    if mode == "test":
        install_torch()
    pip(locked(*LOCKS[mode]), SETS[mode])
    pip(["--no-deps", "--no-build-isolation", "-e", "."], "kiemchung itself")
    STAMP.write_text(wanted)


def locked(*names):
    """Return the arguments that install lock files, and nothing that they do not name."""
    found = ["--require-hashes"]
    for name in names:
        found += ["-r", str(ROOT / "requirements" / (name + ".txt"))]
    return found


def install_torch():
    """Install torch by hash: the CPU build where pip finds one, else what the index has.

    A CUDA build comes with what only it needs; what else torch needs is in the development set.
    """
    index = os.environ.get(TORCH_INDEX)
    if index:
        say("torch comes from " + TORCH_INDEX + ", by version only: the lock knows no hash of it")
        pip([TORCH, "--no-deps", "--index-url", index], "torch")
    elif is_cuda_build(torch_file()):
        say("the package index has a CUDA build of torch only (3 GB); CONTRIBUTING says how to get")
        say("the CPU build")
        pip([*locked("torch-cuda"), "--no-deps"], "torch and what its CUDA build needs")
    else:
        pip([*locked("torch"), "--no-deps"], "torch")


def torch_file():
    """Return the name of the file of torch that pip would install, empty when it does not say."""
    command = [python(), "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps"]
    command += ["--ignore-installed", "--disable-pip-version-check", "--report", "-", TORCH]
    asked = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = json.loads(asked.stdout)["install"][0]["download_info"]["url"]
    except (ValueError, KeyError, IndexError):
        return ""
    return url.split("#")[0].rsplit("/", 1)[-1].replace("%2B", "+")


def is_cuda_build(name):
    """Whether a file of torch is a Linux build that is not marked as one for the CPU."""
    return "linux" in name and "+cpu" not in name


def offer_chromium():
    """Install Chromium for the page tests where this user may; else say how."""
    names = ("chromium", "chromium-browser", "google-chrome")
    if any(shutil.which(name) for name in names):
        return
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing Chromium for the page tests ...")
        quiet = {"stdout": subprocess.DEVNULL}
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        subprocess.run(["apt-get", "update", "-qq"], env=environment, **quiet)
        install = ["apt-get", "install", "-y", "-qq", "chromium", "fonts-noto-core"]
        if subprocess.run(install, env=environment, **quiet).returncode == 0:
            return
    say("no Chromium here: the page tests are skipped (Debian: apt-get install chromium)")


def main():
    """Prepare for `run` or `test`."""
    mode = sys.argv[1] if len(sys.argv) > 1 else "run"
    if mode not in FREE_GB:
        stop("usage: bootstrap.py run|test")
    check_machine(mode)
    make_environment(mode)
    if mode == "test":
        offer_chromium()


if __name__ == "__main__":
    main()
