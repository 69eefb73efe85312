"""One command from decisions to a candidate."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kiemchung import reference
from kiemchung.config import load_settings
from kiemchung.domain import LABEL_ORDER, Batch, Checkability, Decision, digest
from kiemchung.errors import InputError, MissingExtraError
from kiemchung.store import open_store
from kiemchung.store.inbox import write_batch
from models import gates, registry, reviewed, train
from models.reviewed import SPLITS
from pipeline import retraining
from pipeline.cli import app
from pipeline.commands.common import train_extra
from pipeline.weekly import store_path
from tests.batches import NEW_PASSAGE, batch, flag
from tests.models import decided
from tests.models.toys import toy_data


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = gates.own_pairs(reference.load().passages[:60], seed=7)
    rows = decided.spoiled(
        decided.decisions(own, reviewers=5),
        "r1",
        lambda label: LABEL_ORDER[(LABEL_ORDER.index(label) + 1) % 3],
    )
    return decided.write(tmp_path_factory.mktemp("dataset"), decided.split_by_story(rows))


@pytest.fixture(autouse=True)
def small_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "gather", lambda **_: toy_data())


def run(*given: str) -> tuple[dict[str, object], str]:
    done = CliRunner().invoke(app, ["train", "verdict", *given, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout), done.stderr


def test_the_command_makes_a_candidate_and_says_the_alarm(dataset: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "k2"
    told, said = run(
        "--from-reviews", str(dataset), "--out", str(out), "--model", str(registry.PLAIN),
        "--data", str(data),
    )  # fmt: skip
    manifest = registry.verify(out)
    assert told["model_id"] == manifest.model_id
    assert "ALARM: an adjudicator should look at the batch of r1" in said
    lines = retraining.lines_of(dict(manifest.metrics))
    assert lines[0].startswith("fitted on ")
    assert "chance that it is no better" in lines[1]


def test_the_model_in_use_is_gone_on_from(dataset: Path, tmp_path: Path) -> None:
    import shutil

    home = tmp_path / "data" / "models"
    shutil.copytree(registry.PLAIN, home / "mine")
    (home / "PROMOTED").write_text("mine", encoding="utf-8")
    run(
        "--from-reviews",
        str(dataset),
        "--out",
        str(tmp_path / "k"),
        "--data",
        str(tmp_path / "data"),
    )
    made = registry.verify(tmp_path / "k")
    assert made.metrics["fitted"]["from_model"] == registry.verify(registry.PLAIN).model_id


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--head-only"], "go with --from-reviews"),
        (["--from-reviews", "x", "--head-only", "--encoder", "y"], "keeps the encoder"),
        (["--from-reviews", "nowhere"], "no such data set"),
        (["--from-reviews", "store"], "there is no store yet"),
    ],
)
def test_what_cannot_be_meant_is_told(given: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        run(*given, "--out", str(tmp_path / "out"), "--data", str(tmp_path / "data"))


def test_the_decisions_of_the_store_become_a_candidate(tmp_path: Path) -> None:
    """One command from what people decided at the desk, nothing standing in for the store."""
    settings = load_settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    with open_store(store_path(settings), double_share=0.0) as store:
        for number, week in enumerate(("2026-W38", "2026-W39", "2026-W40", "2026-W41")):
            given = batch(week=week, flags=32, copies=0, quiet=0)
            write_batch(settings.data_dir / "inbox", of_its_own(given, number))
        assert len(store.merge_inbox(settings.data_dir / "inbox")) == 4
        people = []
        for name in ("an", "binh"):
            account = store.authenticate(name, store.add_user(name))
            assert account is not None
            people.append(account)
        for number, entry in enumerate(list(store.queue(people[0], view="all"))):
            decision = (Decision.REFUTED, Decision.SUPPORTED, Decision.NOT_ENOUGH_INFO)[number % 3]
            store.decide(
                people[number % 2], entry.mention_key, decision, form_token=f"t{number}",
                cited_passages=[NEW_PASSAGE.passage_id],
            )  # fmt: skip
        reviews = store.counts()["reviews"]
    assert reviews == 128
    out = tmp_path / "k3"
    run(
        "--from-reviews", "store", "--out", str(out), "--model", str(registry.PLAIN),
        "--data", str(settings.data_dir),
    )  # fmt: skip
    body = reviewed.verify(tmp_path / "k3-dataset")
    made = registry.verify(out).metrics["decisions"]
    test = registry.verify(out).metrics["test"]["decisions"]
    assert body["pairs"] == reviews
    counts = {name: len(reviewed.read_split(tmp_path / "k3-dataset", name)) for name in SPLITS}
    assert (made["train"], made["dev"], test) == tuple(counts.values())
    assert all(counts.values())
    with pytest.raises(InputError, match="stands there already"):
        retraining.dataset("store", settings, out)


def of_its_own(given: Batch, number: int) -> Batch:
    """The same batch about other law and other stories, so that no week shares a text."""
    articles, mentions = [], []
    for place, (old, said) in enumerate(
        (a, [m for m in given.mentions if m.article_id == a.article_id]) for a in given.articles
    ):
        key = f"{number} {place}"
        count = 20 + number * 32 + place
        claim = next(m for m in said if m.checkability is Checkability.CHECKABLE)
        text = f"Theo luật, tổ số {count} cần ít nhất {count} người."
        body = old.body.replace(claim.text, text)
        fresh = replace(
            old, article_id=digest("article", key), body=body, title=f"Tổ {count}",
            lead=f"Tin {count}", url=f"{old.url}-{number}", canonical_url=f"{old.url}-{number}",
            story_id=digest("story", key),
        )  # fmt: skip
        start = fresh.text.index(text)
        articles.append(fresh)
        found = replace(claim, mention_id=digest("m", key), claim_id=digest("c", key), text=text)
        found = replace(found, article_id=fresh.article_id, start=start, end=start + len(text))
        mentions.append(found)
    judgements = tuple(flag(m, run_id=given.run.run_id, p_refuted=0.9) for m in mentions)
    return replace(given, articles=tuple(articles), mentions=tuple(mentions), judgements=judgements)


def test_a_missing_package_of_the_train_extra_is_named() -> None:
    told = r"no_such_torch is not installed .*train extra"
    with pytest.raises(MissingExtraError, match=told), train_extra():
        import no_such_torch  # noqa: F401
    with pytest.raises(ZeroDivisionError), train_extra():
        1 / 0  # noqa: B018
