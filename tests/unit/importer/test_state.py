"""The state file of an import."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.core.errors import ConfigError
from bongsu.importer.state import StateFile
from bongsu.importer.totals import Totals

SOURCE = {"format": "openmetrics", "from": "/tmp/a", "to": "http://bongsu"}


def test_the_next_run_continues(tmp_path: Path) -> None:
    state = StateFile(tmp_path / "state", SOURCE)
    assert (state.position, state.done) == (None, False)
    state.totals.read = 5
    state.totals.refuse("too_old", 2, "The sample is older.")
    state.save({"offset": 7})
    again = StateFile(tmp_path / "state", SOURCE)
    assert (again.position, again.totals, again.done) == ({"offset": 7}, state.totals, False)
    again.save({"offset": 9}, done=True)
    assert StateFile(tmp_path / "state", SOURCE).done
    assert StateFile(tmp_path / "state", SOURCE).done, "opening it changes nothing"


def test_restart_begins_anew(tmp_path: Path) -> None:
    StateFile(tmp_path / "state", SOURCE).save({"offset": 7})
    anew = StateFile(tmp_path / "state", SOURCE, restart=True)
    assert (anew.position, anew.totals) == (None, Totals())


def test_the_state_of_another_import_is_refused(tmp_path: Path) -> None:
    StateFile(tmp_path / "state", SOURCE).save({"offset": 7})
    with pytest.raises(ConfigError) as error:
        StateFile(tmp_path / "state", SOURCE | {"from": "/tmp/b"})
    assert "belongs to another import (from was '/tmp/a', is '/tmp/b')" in error.value.message
    assert "--restart" in error.value.message
    assert json.loads((tmp_path / "state").read_text())["position"] == {"offset": 7}


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        StateFile(tmp_path / "none" / "state", SOURCE)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"source": {}}', "[" * 100_000, "\0\1\2"])
def test_what_is_no_state_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "state").write_text(text)
    with pytest.raises(ConfigError, match="is not a state file"):
        StateFile(tmp_path / "state", SOURCE)
    StateFile(tmp_path / "state", SOURCE, restart=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["source", "position", "counts", "read", "refused"]), inner)
    ),
    max_leaves=8,
)


@given(st.fixed_dictionaries({"source": JSON, "position": JSON, "counts": JSON, "done": JSON}))
def test_no_document_breaks_it(tmp_path_factory: pytest.TempPathFactory, document: object) -> None:
    path = tmp_path_factory.mktemp("state") / "state"
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError):
        StateFile(path, SOURCE)
