"""The parts of the site that Sphinx does not check: facts of parameters. `make docs` builds it."""

from __future__ import annotations

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor
from dev.site import reference


def described(of: type) -> list[str]:
    lines = (of.__doc__ or "").replace("\n    ", "\n").splitlines()
    reference.describe(None, "class", "", of, None, lines)
    return lines


def test_a_parameter_says_its_default_its_type_and_whether_it_is_templated():
    text = "\n".join(described(VisionoCreatePhotoRequestOperator))
    assert (
        ":param instructions: what the recipient reads.\n    Required, templated.\n:type instructions: str\n"
        in text
    )
    # Declared by a base class.
    assert "4 by default.\n    Default: ``None``.\n:type parallel_downloads: int | None\n" in text
    assert "Button in Airflow's UI: *Photo request*.\n\n:param instructions:" in text
    assert ":doc:`/docs/reliability`" in text


def test_a_parameter_of_airflow_s_own_leaves_its_default_to_airflow():
    lines = described(VisionoPhotoRequestSensor)
    at = next(at for at, line in enumerate(lines) if line.startswith(":param soft_fail:"))
    assert lines[at + 1] == "    Default: Airflow's."
    assert not lines[at + 2].startswith(":type")
