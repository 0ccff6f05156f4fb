"""Every broken manifest is refused with its code, its place and a sentence that says what to do."""

import pytest

from gpupool.errors import ValidationFailed
from gpupool.planning.limits import MAX_MANIFEST_BYTES
from gpupool.planning.manifest import decode_manifest
from tests.unit.planning.builders import DAG, SINGLE, SWEEP, refused

GRID = SWEEP + "grid = {a = [1]}\n"
LONG = ", ".join(f"t{n} = '{'x' * 1_000}'" for n in range(17))


def unit(name: str, *needs: str, more: str = "") -> str:
    wanted = ", ".join(f'"{need}"' for need in needs)
    return f'[[units]]\nname = "{name}"\nentry = "a.py"\nneeds = [{wanted}]\n{more}\n'


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ({"readme.md"}, "holds no Python file"),
        (set(), "holds no Python file"),
        ({"a.py", "b.py"}, "which of 'a.py', 'b.py' to run"),
        ({"digits/train.py", "digits/net.py"}, "zip the folder's content"),
    ],
)
def test_a_package_without_entry(names: set[str], sentence: str) -> None:
    refusal = refused(None, frozenset(names))
    assert (refusal.status, refusal.code, refusal.details["field"]) == (400, "PACKAGE_NO_ENTRY", "/entry")
    assert sentence in refusal.message
    assert "Add train.py" in refusal.message


WHOLE_FILE = [
    ("[package", "", "not valid TOML"),
    ("a = 1\na = 2", "", "not valid TOML"),
    ("a = " + "9" * 5_000, "", "not valid TOML"),
    ("a = " + "[" * 20_000, "", "nested too deeply"),
    ("a = 1\n" + "a." * 301 + "a = 1", "", "line 2 holds more than 300 dots"),
    ("#" * (MAX_MANIFEST_BYTES + 1), "", "shorten it"),
]
KEYS = [
    ("packge = 1", "/packge", "Did you mean 'package'?"),
    ('"a/b~c" = 1', "/a~1b~0c", "not a key"),
    ('[package]\nentri = "train.py"', "/package/entri", "Did you mean 'entry'?"),
    ('[package]\nzzz = "train.py"', "/package/zzz", "Known are: 'entry', 'requirements'."),
    (SINGLE + "[train]\nargv = []", "/train/argv", "Did you mean 'args'?"),
    (SINGLE + '[evaluate]\nfile = "evaluate.py"', "/evaluate/file", "not a key"),
    ('[strategy]\ntype = "dag"', "/strategy/type", "Known are: 'kind'."),
    (GRID + "objectiv = 1", "/sweep/objectiv", "Did you mean 'objective'?"),
    (DAG + unit("a", more="vram = 1"), "/units/0/vram", "not a key"),
    (SINGLE + "[sweep]\n", "/sweep", 'write [strategy] kind = "sweep"'),
    (SINGLE + unit("a"), "/units", 'write [strategy] kind = "dag"'),
    (DAG + "[train]\n" + unit("a"), "/train", "means nothing to the strategy 'dag'"),
    (GRID + unit("a"), "/units", "means nothing to the strategy 'sweep'"),
]
TYPES = [
    ("package = 1", "/package", "write [package], not a whole number"),
    ("[package]\nentry = 1", "/package/entry", "must be text, not a whole number"),
    ('[package]\nentry = ""', "/package/entry", "must not be empty"),
    (SINGLE + "[train]\nargs = 'x'", "/train/args", "must be a list of texts"),
    (SINGLE + "[train]\nargs = ['x', 1]", "/train/args/1", "must hold texts only"),
    (SINGLE + "[train]\nargs = [" + "'x'," * 101 + "]", "/train/args", "at most 100"),
    (SINGLE + '[train]\nargs = ["\\u0000"]', "/train/args", "NUL"),
    (SINGLE + f"[train]\nargs = ['{'x' * 1_001}']", "/train/args", "at most 1000 bytes"),
    (SINGLE + f"[train]\nargs = [{', '.join([repr('x' * 1_000)] * 17)}]", "/train/args", "more than 16384 bytes"),
    ("[strategy]\nkind = true", "/strategy/kind", "not true/false"),
    ("units = [1]\n" + DAG, "/units", "must hold tables only"),
    ("units = 1\n" + DAG, "/units", "write [[units]]"),
    (DAG + unit("a", more="max_runtime_seconds = 1.5"), "/units/0/max_runtime_seconds", "must be a whole number, not a number"),
    (DAG + unit("a", more="max_runtime_seconds = true"), "/units/0/max_runtime_seconds", "not true/false"),
]
FILES = [
    ('[strategy]\nkind = "single"', "/package/entry", 'entry = "train.py"'),
    ("[package]\n" + SWEEP.removeprefix(SINGLE), "/package/entry", "is missing"),
    ('[package]\nentry = "trian.py"', "/package/entry", "Did you mean 'train.py'?"),
    ('[package]\nentry = "../train.py"', "/package/entry", "not in the package"),
    ('[package]\nentry = "lib/"', "/package/entry", "not in the package"),
    ('[package]\nentry = "notes.md"', "/package/entry", "must name a Python file"),
    (SINGLE + 'requirements = "req.txt"', "/package/requirements", "Did you mean 'requirements.txt'?"),
    (SINGLE + "[evaluate]", "/evaluate/entry", "is missing"),
    (SINGLE + '[evaluate]\nentry = "eval.py"', "/evaluate/entry", "not in the package"),
    (DAG + '[[units]]\nname = "a"', "/units/0/entry", "is missing"),
    (DAG + '[[units]]\nname = "a"\nentry = "aa.py"', "/units/0/entry", "Did you mean 'a.py'?"),
]
PARAMETERS = [
    (SINGLE + "[parameters]\n1st = 1", "/parameters/1st", "must start with a letter"),
    (SINGLE + "[parameters]\n'a b' = 1", "/parameters/a b", "must start with a letter"),
    (SINGLE + f"[parameters]\n{'a' * 65} = 1", f"/parameters/{'a' * 65}", "at most 64"),
    (SINGLE + "[parameters]\na = [1]", "/parameters/a", "not a list"),
    (SINGLE + "[parameters]\na = {b = 1}", "/parameters/a", "not a table"),
    (SINGLE + "[parameters]\na = 2026-01-01", "/parameters/a", "not a date or time"),
    (SINGLE + "[parameters]\na = inf", "/parameters/a", "finite number"),
    (SINGLE + "[parameters]\na = nan", "/parameters/a", "finite number"),
    (SINGLE + "[parameters]\na = 1e200", "/parameters/a", "1e100"),
    (SINGLE + "[parameters]\na = 1e-200", "/parameters/a", "1e-100"),
    (SINGLE + "[parameters]\na = 9223372036854775808", "/parameters/a", "64 bits"),
    (SINGLE + '[parameters]\na = "\\u0000"', "/parameters/a", "NUL"),
    (SINGLE + f"[parameters]\na = '{'ä' * 501}'", "/parameters/a", "at most 1000 bytes"),
    (SINGLE + "[parameters]\n" + "\n".join(f"p{n} = 1" for n in range(101)), "/parameters", "at most 100"),
    (GRID + "[parameters]\na = 'text'", "/sweep/grid/a/0", "must be text"),
    (SWEEP + "list = [{a = 1}, {a = true}]\n[parameters]\na = 1", "/sweep/list/1/a", "must be a whole number"),
    ("[parameters]\nb = true\n" + DAG + unit("a", more="parameters = {b = 1}"), "/units/0/parameters/b", "must be true/false"),
]
SWEEPS = [
    ('[strategy]\nkind = "sweeep"', "/strategy/kind", "Did you mean 'sweep'?"),
    (SINGLE + '[strategy]\nkind = "sweep"', "/sweep/objective", 'objective = "test_accuracy"'),
    (SINGLE + '[strategy]\nkind = "sweep"\n[sweep]\nobjective = "a"\ngrid = {a = [1]}', "/sweep/goal", 'goal = "maximize"'),
    (GRID.replace("maximize", "max"), "/sweep/goal", "Known are: 'maximize', 'minimize'."),
    (SWEEP, "/sweep/grid", "is missing; for example: grid"),
    (GRID + "list = [{a = 1}]", "/sweep/grid", "not both"),
    (SWEEP + "grid = {}", "/sweep/grid", "at least one"),
    (SWEEP + "grid = {a = []}", "/sweep/grid", "at least one"),
    (SWEEP + "grid = {a = 1}", "/sweep/grid/a", "list of the values to try"),
    (SWEEP + "grid = {a = [1, [2]]}", "/sweep/grid/a/1", "not a list"),
    (SWEEP + "grid = {'a b' = [1]}", "/sweep/grid/a b/0", "must start with a letter"),
    (SWEEP + "list = []", "/sweep/list", "at least one"),
    (SWEEP + "list = [{a = 1}, {}]", "/sweep/list", "at least one"),
    (
        SWEEP + f"grid = {{a = {list(range(9))}, b = {list(range(41))}, c = {list(range(271))}}}",
        "/sweep/grid",
        "99999 parameter sets are too many; try at most 99998",
    ),
    (
        SWEEP + f"grid = {{a = {list(range(200))}, b = {list(range(250))}}}\n[evaluate]\nentry = 'a.py'",
        "/sweep/grid",
        "50000 parameter sets are too many; try at most 49999",
    ),
    (SWEEP + "grid = {" + ", ".join(f"p{n} = [1, 2]" for n in range(60)) + "}", "/sweep/grid", "too many"),
    (SWEEP + "grid = {" + ", ".join(f"p{n} = [1]" for n in range(101)) + "}", "/sweep/grid", "at most 100"),
    (SWEEP + "grid = {" + LONG.replace(" = 'x", " = ['x").replace("x'", "x']") + "}", "/sweep/grid", "one set takes more"),
    (SWEEP + f"list = [{{a = 1}}, {{{LONG}}}]", "/sweep/list/1", "more than 16384 bytes written out"),
    (SWEEP + "list = [" + "{a=1}," * 9_100 + "]", "", "fewer or shorter parameters"),
    (SWEEP + "grid = {a = [1]}\n[parameters]\n" + LONG.replace(", ", "\n"), "/parameters", "fewer or shorter parameters"),
]
DAGS = [
    (DAG, "/units", "a dag needs units"),
    ("units = []\n" + DAG, "/units", "a dag needs units"),
    (DAG + '[[units]]\nentry = "a.py"', "/units/0/name", "is missing"),
    (DAG + unit("a b"), "/units/0/name", "must start with a letter"),
    (DAG + unit("training"), "/units/0/name", "the data set's folder"),
    (DAG + unit("a") + unit("b") + unit("a"), "/units/2/name", "2 and 0 are both named 'a'"),
    (DAG + unit("alpha") + unit("b", "alpa"), "/units/1/needs/0", "Did you mean 'alpha'?"),
    (DAG + unit("a", "b"), "/units/0/needs/0", "There is none."),
    (DAG + unit("a", "a"), "/units/0/needs/0", "needs itself"),
    (DAG + unit("a") + unit("b", "a", "a"), "/units/1/needs/1", "twice"),
    (DAG + unit("a", *(f"b{n}" for n in range(501))), "/units/0/needs", "at most 500"),
    (DAG + unit("a", more='kind = "tpu"'), "/units/0/kind", "cannot be 'tpu'"),
    (DAG + unit("a", more='kind = "cpu"\nrequired_vram_mb = 1'), "/units/0/required_vram_mb", 'write kind = "gpu"'),
    (DAG + unit("a", more="required_vram_mb = 80001"), "/units/0/required_vram_mb", "between 0 and 80000"),
    (DAG + unit("a", more="required_disk_mb = -1"), "/units/0/required_disk_mb", "between 64"),
    (DAG + unit("a", more="max_runtime_seconds = 0"), "/units/0/max_runtime_seconds", "between 1 and 21600"),
    (DAG + unit("a", more="max_runtime_seconds = 21601"), "/units/0/max_runtime_seconds", "between 1 and 21600"),
]


@pytest.mark.parametrize(
    ("text", "field", "sentence"),
    [*WHOLE_FILE, *KEYS, *TYPES, *FILES, *PARAMETERS, *SWEEPS, *DAGS],
    ids=lambda value: str(value)[:60],
)
def test_a_broken_manifest(text: str, field: str, sentence: str) -> None:
    refusal = refused(text)
    assert (refusal.status, refusal.code, refusal.details["field"]) == (400, "MANIFEST_INVALID", field)
    assert sentence in refusal.message
    assert len(refusal.message) < 600


@pytest.mark.parametrize(
    ("units", "field", "chain"),
    [
        (unit("a", "b") + unit("b", "a"), "/units/0/needs", "a -> b -> a"),
        (
            unit("x") + unit("a", "x", "c") + unit("b", "a") + unit("c", "b") + unit("z", "c"),
            "/units/1/needs",
            "a -> c -> b -> a",
        ),
    ],
)
def test_a_circle_is_named(units: str, field: str, chain: str) -> None:
    refusal = refused(DAG + units)
    assert (refusal.status, refusal.code, refusal.details["field"]) == (400, "PLAN_CYCLIC", field)
    assert f"in a circle: {chain}. Remove one" in refusal.message


def test_a_long_circle_is_shortened() -> None:
    refusal = refused(DAG + "".join(unit(f"u{n}", f"u{(n + 1) % 1_000}") for n in range(1_000)))
    assert "u17 -> ... -> u0." in refusal.message


def test_what_strangers_wrote_is_escaped_and_cut() -> None:
    refusal = refused('"' + "x" * 5_000 + '\\n" = 1')
    assert "\n" not in refusal.message
    assert len(refusal.message) < 300


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(ValidationFailed) as caught:
        decode_manifest(b"\xff")
    assert (caught.value.code, caught.value.details["field"]) == ("MANIFEST_INVALID", "")
