"""
Every block of code on every page is run.

A comment right before a block says how, where that does not go without saying:

* ``<!-- test: scene=answers_late,answers_at_once -->`` runs it in these scenes of ``scenes.py``;
* ``<!-- test: in=after_ask -->`` puts it into ``frames/after_ask.py``, of which it is a part;
* ``<!-- test: live=approval -->`` leaves it to ``tests/live``, for it needs a real scheduler;
* ``<!-- test: file=connections.yaml -->`` is a file that a command on the same page reads;
* ``<!-- test: of=vizdom -->`` says whose extras a block of JSON has; ``of=manifest``, that it is a manifest;
  ``of=inbox``, an inbox of webhooks.
"""

from __future__ import annotations

import configparser
import json
import linecache
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk import Asset

from airflow_provider_visio.assets.openlineage import convert_asset_to_openlineage
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.storage.lineage import object_uri
from airflow_provider_visio.webhooks.inbox import Inbox
from dev.markdown import Block, pages

from . import connections, shell
from .scenes import SCENES
from .stage import FRAMES, Stage, framed

ROOT = Path(__file__).resolve().parents[2]
# A language in braces is a directive of the site's.
BLOCKS = [block for page in pages(ROOT) for block in page.blocks() if not block.language.startswith("{")]

# The README is shown on the package's page, too, and has no comments: how its blocks run, by heading.
README = {"ask-many-people": {"in": "after_ask", "scene": "everybody_answers,one_is_refused"}}

# A drawing is not code.
DRAWINGS = {"mermaid"}


def words_of(block: Block) -> dict[str, str]:
    return block.words or (README.get(block.heading, {}) if block.page == "README.md" else {})


def is_live(block: Block) -> bool:
    return "live" in words_of(block)


def scenes_of(block: Block) -> list[str]:
    return words_of(block).get("scene", "everybody_answers").split(",")


TO_RUN = [
    pytest.param(block, scene, id=f"{block}-{scene}")
    for block in BLOCKS
    if block.language not in DRAWINGS and not is_live(block)
    for scene in scenes_of(block)
]


@pytest.mark.parametrize(("block", "scene"), TO_RUN)
def test_a_block_runs(block: Block, scene: str, stage: Stage) -> None:
    assert block.language in RUNNERS, f"nothing runs a block of {block.language or 'no language'!r}"
    play = SCENES[scene](stage)
    next(play)
    RUNNERS[block.language](block, stage)
    with pytest.raises(StopIteration):
        next(play)


def run_python(block: Block, stage: Stage) -> None:
    text = framed(block.text, words_of(block).get("in"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if "DAG(" in text:
            stage.dags = dags_in(text, stage.folder / "page_block.py")
            for dag in stage.dags:
                stage.runs[dag.dag_id] = run(dag, stage)
            assert stage.runs
        else:
            stage.left = {"__name__": "snippet", **stage.given}
            linecache.cache[str(block)] = (len(text), None, text.splitlines(keepends=True), str(block))
            exec(compile(text, str(block), "exec"), stage.left)


def dags_in(text: str, file: Path) -> list[Any]:
    """Read a DAG file as Airflow's DAG processor does."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag

    file.write_text(text)
    bag = DagBag(dag_folder=file)
    assert not bag.import_errors, next(iter(bag.import_errors.values()))
    assert not bag.captured_warnings
    return list(bag.dags.values())


def run(dag: Any, stage: Stage) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return stage.run_dag(dag, **stage.conf)


def run_bash(block: Block, stage: Stage) -> None:
    for other in BLOCKS:
        if other.page == block.page and "file" in other.words:
            (stage.folder / other.words["file"]).write_text(other.text)
    shell.run(block.text, stage)


def run_json(block: Block, stage: Stage) -> None:
    if block.words.get("of") == "manifest":
        stored = VisionoHook().download_photos(stage.given["request_id"], "s3://claims")
        assert shape(json.loads(block.text)) == shape(json.loads(json.dumps(stored)))
        return
    if block.words.get("of") == "lineage":
        event = json.loads(block.text)
        asset = Asset(uri=object_uri("vizdom", "vizdom_default", "dashboards", "dash_abc123"))
        source = convert_asset_to_openlineage(asset, None)
        assert event["inputs"] == [{"namespace": source.namespace, "name": source.name}]
        return
    if block.words.get("of") == "inbox":
        inbox = Inbox.from_text(block.text)
        assert inbox
        assert json.loads(inbox.as_text()) == json.loads(block.text)
        return
    connections.check(json.loads(block.text), block.words, stage)


def shape(value: Any) -> Any:
    """Return the names in a manifest, without those of a request's own metadata."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items() if name != "metadata"}
    return [shape(part) for part in value[:1]] if isinstance(value, list) else None


def run_yaml(block: Block, stage: Stage) -> None:
    connections.check(yaml.safe_load(block.text), block.words, stage)


def run_ini(block: Block, stage: Stage) -> None:
    from airflow.configuration import conf

    parser = configparser.ConfigParser()
    parser.read_string(block.text)
    for section in parser.sections():
        for option in parser.options(section):
            assert conf.has_option(section, option), f"Airflow knows no [{section}] {option}"


RUNNERS = {
    "bash": run_bash,
    "ini": run_ini,
    "json": run_json,
    "python": run_python,
    "yaml": run_yaml,
}


def test_each_block_is_run_by_something():
    live = (ROOT / "tests" / "live" / "test_live_recipes.py").read_text()
    for block in BLOCKS:
        assert block.language in {*RUNNERS, *DRAWINGS}, f"{block}: nothing runs {block.language!r}"
        assert set(block.words) <= {"scene", "in", "live", "file", "of"}, f"{block}: {block.words}"
        if is_live(block):
            assert f'"{block.words["live"]}"' in live, f"{block}: no live test names it"


def test_no_scene_and_no_frame_is_without_a_block():
    named = [words_of(block) for block in BLOCKS]
    assert set(SCENES) == {scene for block in BLOCKS for scene in scenes_of(block)}
    assert {path.stem for path in FRAMES.glob("*.py")} == {words["in"] for words in named if "in" in words}
