"""Make the virtual environment and install what `make run` or `make test` needs.

Plain standard library and old syntax on purpose: it has to run, and say what is missing, on a
machine that has nothing yet. Works as often as it is called; a second call with unchanged
pyproject.toml installs nothing.
"""

import hashlib
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
        index = os.environ.get("KIEMCHUNG_TORCH_INDEX")
        extra = ["--index-url", index] if index else []
        pip([TORCH, *extra], "torch (CPU build; see CONTRIBUTING for other machines)")
        pip(["-e", ".[train,dev]"], "kiemchung with its development set")
    else:
        pip(["-e", "."], "kiemchung (a minute or two)")
    STAMP.write_text(wanted)


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
