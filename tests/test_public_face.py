"""The public face: what ``import rca`` offers, and what it must not cost."""

from __future__ import annotations

import json
import subprocess
import sys
import types

import pytest

import rca

# Each takes a tenth of a second or more, or is an optional extra.
HEAVY = (
    "torch",
    "neo4j",
    "fastapi",
    "httpx",
    "uvicorn",
    "psycopg",
    "sklearn",
    "ray",
    "pandas",
    "matplotlib",
    "pyarrow",
    "scipy",
    "networkx",
    "drain3",
    "jinja2",
    "typer",
)


def loaded_after(code: str) -> list[str]:
    script = f"import sys\n{code}\nimport json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return modules


def test_all_is_sorted_and_holds_no_name_twice() -> None:
    assert rca.__all__ == sorted(set(rca.__all__), key=lambda name: (name[0].islower(), name))


@pytest.mark.parametrize("name", rca.__all__)
def test_every_public_name_exists_and_has_a_docstring(name: str) -> None:
    assert getattr(rca, name).__doc__


def test_all_names_everything_that_is_public() -> None:
    for name in rca.__all__:
        getattr(rca, name)
    public = {
        name
        for name, value in vars(rca).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name not in _IMPORTED
    }
    assert public == set(rca.__all__)


_IMPORTED = {"annotations", "import_module", "TYPE_CHECKING"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        rca.nonsense  # noqa: B018 - the access is what is tested


def test_importing_rca_loads_none_of_the_heavy_packages() -> None:
    assert sorted(set(HEAVY) & set(loaded_after("import rca"))) == []


def test_importing_rca_loads_none_of_its_own_modules() -> None:
    assert [name for name in loaded_after("import rca") if name.startswith("rca.")] == []


def test_the_types_need_nothing_but_themselves() -> None:
    modules = loaded_after("from rca import Case, Incident, Window")
    assert sorted({*HEAVY, "numpy"} & set(modules)) == []


def test_the_command_line_helps_without_loading_numpy() -> None:
    modules = loaded_after("import rca.cli")
    assert sorted(({*HEAVY, "numpy"} - {"typer"}) & set(modules)) == []
