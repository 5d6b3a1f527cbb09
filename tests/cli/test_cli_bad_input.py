"""Bad input: exit status 2, one line on what, where and what to do, and nothing left behind."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from synthaug.cli.options import check_outside, check_result
from synthaug.core import InputError
from synthaug.data import LabelledImages, draw_subset, read_images

RESULTS = Path(__file__).parents[2] / "benchmarks" / "accuracy" / "results"
Words = tuple[str | Path, ...]
NEW = "new"  # in the test's own folder


def listing(root: Path) -> dict[str, tuple[int, int]]:
    """All below `root`: size and time of change."""
    return {
        str(path.relative_to(root)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file() or not any(path.iterdir())
    }


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape).astype(dtype)


@pytest.fixture
def refused(call: Callable, tmp_path: Path) -> Callable[..., str]:
    """Calls the command line in vain and gives its message."""

    def refuse(*words: str | Path, status: int = 2) -> str:
        before = listing(tmp_path)
        done = call(*words)
        assert done.status == status, done
        assert done.out == ""
        *before_it, message = done.err.splitlines()
        assert all(line.endswith(" of 2") or "0 of" in line for line in before_it), done.err
        assert message.startswith("error: ")
        assert listing(tmp_path) == before
        return message

    return refuse


def expect(message: str, *fragments: str) -> None:
    for fragment in fragments:
        assert fragment in message, message


# What is wrong with the images


def missing_path(tmp: Path, tree: Callable) -> Path:
    return tmp / "nowhere"


def other_file(tmp: Path, tree: Callable) -> Path:
    (tmp / "notes.txt").write_text("cats")
    return tmp / "notes.txt"


def not_an_image(tmp: Path, tree: Callable) -> Path:
    root = tree(tmp / "images", {"cat": 4, "dog": 4})
    (root / "dog" / "2.png").write_text("not an image")
    return root


def truncated_image(tmp: Path, tree: Callable) -> Path:
    root = tree(tmp / "images", {"cat": 4, "dog": 4})
    path = root / "dog" / "2.png"
    path.write_bytes(path.read_bytes()[:-30])
    return root


def mixed_channels(tmp: Path, tree: Callable) -> Path:
    from PIL import Image

    root = tree(tmp / "images", {"cat": 4, "dog": 4})
    Image.fromarray(noise(8, 8, 3)).save(root / "dog" / "2.png")
    return root


def mixed_sizes(tmp: Path, tree: Callable) -> Path:
    from PIL import Image

    root = tree(tmp / "images", {"cat": 4, "dog": 4})
    Image.fromarray(noise(9, 8)).save(root / "dog" / "2.png")
    return root


def empty_class(tmp: Path, tree: Callable) -> Path:
    return tree(tmp / "images", {"cat": 4, "dog": 4, "eel": 0})


def one_class(tmp: Path, tree: Callable) -> Path:
    return tree(tmp / "images", {"cat": 4})


def no_classes(tmp: Path, tree: Callable) -> Path:
    (tmp / "images").mkdir()
    return tmp / "images"


def archive(tmp: Path, **arrays: np.ndarray) -> Path:
    np.savez(tmp / "set.npz", **arrays)  # type: ignore[arg-type]
    return tmp / "set.npz"


def labels_out_of_range(tmp: Path, tree: Callable) -> Path:
    names = np.array(["cat", "dog"])
    labels = np.array([0, 1, 2, 1])
    return archive(tmp, images=noise(4, 8, 8), labels=labels, class_names=names)


def fractional_labels(tmp: Path, tree: Callable) -> Path:
    return archive(tmp, images=noise(4, 8, 8), labels=np.array([0, 1, 0.5, 1]))


def nan_pixels(tmp: Path, tree: Callable) -> Path:
    images = noise(4, 8, 8, dtype=np.float32)
    images[2, 3, 3] = np.nan
    return archive(tmp, images=images, labels=np.array([0, 1, 0, 1]))


def object_arrays(tmp: Path, tree: Callable) -> Path:
    labels = np.array(["cat", 1, None, "dog"], dtype=object)
    return archive(tmp, images=noise(4, 8, 8), labels=labels)


def cut_archive(tmp: Path, tree: Callable) -> Path:
    path = archive(tmp, images=noise(4, 8, 8), labels=np.array([0, 1, 0, 1]))
    path.write_bytes(path.read_bytes()[:300])
    return path


def unequal_lengths(tmp: Path, tree: Callable) -> Path:
    return archive(tmp, images=noise(4, 8, 8), labels=np.array([0, 1, 0]))


IMAGES: dict[Callable[[Path, Callable], Path], tuple[str, ...]] = {
    missing_path: ("nowhere: no such file or folder; expected a folder of class folders",),
    other_file: ("notes.txt: expected a folder of class folders",),
    not_an_image: ("dog/2.png: ",),
    truncated_image: ("dog/2.png: ",),
    mixed_channels: ("one number of channels", "cat/0.png has 1", "dog/2.png has 3", "gray"),
    mixed_sizes: ("one size", "dog/2.png is 9x8", "--image-size"),
    empty_class: ("none of 'eel'", "add some, or remove the class"),
    one_class: ("at least two classes, got only 'cat'",),
    no_classes: ("expected class folders",),
    labels_out_of_range: ("set.npz: labels", "2"),
    fractional_labels: ("set.npz: labels", "float64", "astype"),
    nan_pixels: ("set.npz: images[2]", "NaN", "remove that image"),
    object_arrays: ("set.npz: labels", "Python objects", "plain array"),
    cut_archive: ("set.npz: ", "cut short or damaged", "write it again"),
    unequal_lengths: ("3 labels for 4 images",),
}


@pytest.mark.parametrize(
    ("make", "fragments"), IMAGES.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_images_that_cannot_be_used_are_refused_by_every_command_that_reads_them(
    make: Callable, fragments: tuple[str, ...], refused: Callable, tree: Callable, tmp_path: Path
) -> None:
    source = make(tmp_path, tree)
    for words in (
        ("fit", source, "-o", tmp_path / NEW),
        ("import", source, "-o", tmp_path / NEW),
        ("gain", source, "--cache", tmp_path / NEW),
        ("gain", "digits", "--test", source, "--cache", tmp_path / NEW),
    ):
        if "--test" in words and make in (empty_class, one_class):
            continue  # a test split may lack classes
        expect(refused(*words), *fragments)


def test_a_class_with_fewer_images_than_asked(
    refused: Callable, tree: Callable, tmp_path: Path
) -> None:
    source = tree(tmp_path / "images", {"cat": 9, "dog": 4})
    test = tree(tmp_path / "others", {"cat": 9, "dog": 4}, seed=9)
    for words in (
        ("fit", source, "--per-class", "5", "-o", tmp_path / NEW),
        ("gain", source, "--test", test, "--per-class", "5", "--cache", tmp_path / NEW),
    ):
        expect(
            refused(*words),
            "class 'dog': expected at least 5 images",
            "got 4",
            "ask for fewer, or add images",
        )
    same = refused("gain", source, "--test", source, "--cache", tmp_path / NEW)
    expect(same, "13 of the 13 test images are train images, too", "Take them out of one")
    lonely = tree(tmp_path / "lonely", {"cat": 4, "dog": 1})
    message = refused("fit", lonely, "-o", tmp_path / NEW)
    expect(message, "class 'dog'", "at least 2 images", "got 1")


def test_what_else_is_named_is_looked_for_before_images_are_read(
    refused: Callable, tmp_path: Path
) -> None:
    nowhere = tmp_path / "nowhere"
    for words in (("fit", "--start", nowhere, "-o", tmp_path / NEW), ("gain", "--pool", nowhere)):
        expect(refused(*words, tmp_path / "images"), f"{nowhere}: no such directory; expected a")


def test_groups_that_span_train_and_test(refused: Callable, tmp_path: Path) -> None:
    images, labels = noise(6, 8, 8), np.array([0, 1] * 3)
    groups = np.array(["p1", "p2", "p3", "p4", "p5", "p6"])
    source = archive(
        tmp_path,
        train_images=images,
        train_labels=labels,
        train_groups=groups,
        test_images=images,
        test_labels=labels,
        test_groups=np.array(["q1", "q2", "p3", "q4", "q5", "q6"]),
    )
    message = refused("gain", source, "--cache", tmp_path / NEW)
    expect(message, "p3 (train, test)", "leak", "split by group")


def test_test_images_of_other_classes_and_sizes(
    refused: Callable, tree: Callable, data: Path, tmp_path: Path
) -> None:
    other = tree(tmp_path / "images", {"eel": 4, "fox": 4})
    message = refused("gain", data, "--test", other, "--cache", tmp_path / NEW)
    expect(message, f"{other}: expected images of the classes cat, dog, got 'eel'; rename it")
    same = tree(tmp_path / "same", {"cat": 4, "dog": 4})
    message = refused("gain", "digits", "--test", same, "--cache", tmp_path / NEW)
    expect(message, f"{same}: expected images of the classes 0, 1,", "got 'cat'")


# What is wrong with the words

WORDS: dict[str, tuple[Words, tuple[str, ...]]] = {
    "unknown command": (("gian",), ("No such command 'gian'", "--help")),
    "unknown option": (("gain", "--stepz", "3"), ("--stepz", "synthaug gain --help")),
    "missing argument": (("fit", "-o", NEW), ("DATA", "synthaug fit --help")),
    "missing output": (("fit", "digits"), ("--output", "synthaug fit --help")),
    "unknown generator": (
        ("fit", "digits", "--generator", "diffusion", "-o", NEW),
        ("--generator", "diffusion", "transfer", "style-swap"),
    ),
    "steps without training": (
        ("fit", "digits", "--generator", "style-swap", "--steps", "5", "-o", NEW),
        ("--steps", "style-swap has no training", "leave it out"),
    ),
    "scope without training": (
        ("fit", "digits", "--generator", "style-swap", "--scope", "per-class", "-o", NEW),
        ("--scope", "style-swap has no training", "leave it out"),
    ),
    "validation without training": (
        ("fit", "digits", "--generator", "random-field", "--validate", "-o", NEW),
        ("--validate", "random-field has no training", "leave it out"),
    ),
    "a trace of too short a run": (
        ("fit", "digits", "--steps", "19", "--profile", NEW, "-o", NEW),
        ("--profile: expected a run of at least 20 steps",),
    ),
    "a trace of too short a run of parts": (
        ("fit", "digits", "--generator", "blend", "--steps", "9", "--profile", NEW, "-o", NEW),
        ("--profile: expected a run of at least 20 steps",),
    ),
    "a trace that would be compressed": (
        ("fit", "digits", "--profile", "trace.json.gz", "-o", NEW),
        ("--profile trace.json.gz: expected a name that does not end in .gz",),
    ),
    "unknown scope": (
        ("fit", "digits", "--scope", "each", "-o", NEW),
        ("--scope", "per-class", "'each'"),
    ),
    "start that is not there": (
        ("fit", "digits", "--start", "nothing", "-o", NEW),
        ("nothing: no such directory",),
    ),
    "one generator twice": (
        ("gain", "digits", "--generator", "vae", "--generator", "vae", "--cache", NEW),
        ("--generator", "vae twice"),
    ),
    "unknown policy": (
        ("gain", "digits", "--policy", "flip", "--cache", NEW),
        ("--policy", "shift-flip", "'flip'"),
    ),
    "unknown policy to search under": (
        ("tune", "digits", "--policy", "flip", "-o", NEW),
        ("--policy", "shift-flip", "'flip'"),
    ),
    "unknown mode": (("fit", "digits", "--mode", "hsv", "-o", NEW), ("--mode", "gray", "hsv")),
    "unknown arms": (("gain", "--arms", "most"), ("--arms", "staged", "most")),
    "unknown format": (("export", "p", "-o", NEW, "--format", "zip"), ("--format", "npz", "zip")),
    "one seed": (("gain", "--seeds", "1"), ("'--seeds': expected at least 2, got '1'",)),
    "no number": (("gain", "--seeds", "five"), ("'--seeds': expected an integer, got 'five'",)),
    "no precision": (
        ("gain", "--precision", "fine"),
        ("'--precision': expected a number, got 'fine'",),
    ),
    "negative seed": (
        ("fit", "digits", "--seed", "-1", "-o", NEW),
        ("'--seed': expected at least 0, got '-1'",),
    ),
    "huge images": (
        ("fit", "digits", "--image-size", "512", "-o", NEW),
        ("'--image-size': expected at most 256, got '512'",),
    ),
    "precision of nothing": (
        ("gain", "digits", "--precision", "0", "--cache", NEW),
        ("precision: expected a number above 0, got 0",),
    ),
    "precision that is no number": (
        ("gain", "digits", "--precision", "nan", "--cache", NEW),
        ("precision: expected a number above 0, got nan",),
    ),
    "unknown device": (
        ("fit", "digits", "--device", "gpu", "-o", NEW),
        ("--device: expected auto, cpu, cuda", "'gpu'"),
    ),
    "unknown set": (
        ("fit", "torchvision:CIFAR11", "-o", NEW),
        ("torchvision:CIFAR11", "did you mean", "CIFAR10"),
    ),
}


@pytest.mark.parametrize(("words", "fragments"), WORDS.values(), ids=WORDS)
def test_wrong_usage(
    words: Words,
    fragments: tuple[str, ...],
    refused: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refused(*words)
    expect(message, *fragments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("words", [("fit", "digits", "-o"), ("gain", "digits", "--cache")])
def test_a_cuda_device_that_is_not_there(words: Words, refused: Callable, tmp_path: Path) -> None:
    message = refused(*words, tmp_path / NEW, "--device", "cuda")
    expect(message, "--device: 'cuda' was asked for, but torch sees no CUDA device", "leave")


# What is wrong with pools and generators


@pytest.fixture
def changed_pool(pool: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the pool with another array in it, or another manifest."""

    def change(name: str, **entries: object) -> Path:
        copy = tmp_path / name
        shutil.copytree(pool, copy)
        manifest = json.loads((copy / "manifest.json").read_text())
        (copy / "manifest.json").write_text(json.dumps({**manifest, **entries}))
        return copy

    return change


def test_a_pool_that_does_not_fit_the_images(
    refused: Callable, changed_pool: Callable, data: Path, tmp_path: Path
) -> None:
    def measured(directory: Path) -> str:
        return refused("gain", data, "--pool", directory, "--cache", tmp_path / NEW)

    other = changed_pool("classes", classes=["cat", "eel"])
    expect(measured(other), "classes: expected the classes ['cat', 'dog'], the pool holds", "eel")
    large = changed_pool("large")
    np.save(large / "images.npy", noise(8, 1, 9, 9))
    expect(
        measured(large), "large: expected uint8 images (1, 8, 8), the pool holds uint8 (1, 9, 9)"
    )
    deep = changed_pool("deep")
    np.save(deep / "images.npy", noise(8, 1, 8, 8, dtype=np.uint16))
    expect(measured(deep), "deep: expected uint8", "uint16")
    partial = changed_pool("partial")
    np.save(partial / "labels.npy", np.zeros(8, np.int64))
    expect(measured(partial), "no image of class 'dog'")


def test_a_pool_with_copies_of_test_images(
    refused: Callable, call: Callable, data: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    assert call("import", data / "test", "-o", copied).status == 0
    message = refused("gain", data, "--pool", copied, "--cache", tmp_path / NEW)
    expect(message, "near-copies of test images", "Remove them")


def test_a_damaged_pool(
    refused: Callable, changed_pool: Callable, data: Path, tmp_path: Path
) -> None:
    cut = changed_pool("cut")
    (cut / "images.npy").write_bytes((cut / "images.npy").read_bytes()[:100])
    unnamed = changed_pool("unnamed")
    (unnamed / "manifest.json").write_text("{")
    for broken, said in ((cut, "make the pool again"), (unnamed, "expected JSON")):
        for words in (
            ("export", broken, "-o", tmp_path / NEW),
            ("gain", data, "--pool", broken, "--cache", tmp_path / NEW),
        ):
            expect(refused(*words), str(broken), said)
    expect(refused("inspect", unnamed), "manifest.json", "expected JSON")
    other = changed_pool("other")
    content = bytearray((other / "images.npy").read_bytes())
    content[-1] ^= 1
    (other / "images.npy").write_bytes(content)
    message = refused("gain", data, "--pool", other, "--cache", tmp_path / NEW)
    expect(message, str(other), "its files have the fingerprint")


def test_a_damaged_generator(refused: Callable, generator: Path, tmp_path: Path) -> None:
    for name, spoil in (
        ("weights.safetensors", lambda path: path.write_bytes(b"")),
        ("images.npy", lambda path: path.write_bytes(path.read_bytes()[:90])),
        ("labels.npy", lambda path: path.unlink()),
        ("manifest.json", lambda path: path.write_text('{"kind": "generator"}')),
    ):
        copy = tmp_path / name
        shutil.copytree(generator, copy)
        spoil(copy / name)
        expect(refused("sample", copy, "-o", tmp_path / NEW), str(copy))


def test_directories_of_another_kind(
    refused: Callable, generator: Path, pool: Path, data: Path, tmp_path: Path
) -> None:
    expect(refused("sample", pool, "-o", tmp_path / NEW), "expected a generator")
    expect(refused("export", generator, "-o", tmp_path / NEW), "expected a sample pool")
    expect(refused("inspect", data), "expected a directory that fit, sample or import wrote")
    expect(refused("inspect", tmp_path / "nowhere"), "nowhere: expected a directory")
    expect(refused("sample", tmp_path / "nowhere", "-o", tmp_path / NEW), "nowhere: no such")


# Where results cannot go


def test_a_directory_of_the_user_is_never_replaced(
    refused: Callable, generator: Path, pool: Path, data: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.txt").write_text("years of work")
    for words in (("fit", data), ("sample", generator), ("import", data)):
        message = refused(*words, "-o", own)
        expect(message, str(own), "cannot replace it", "name another directory")
    for form in ("folder", "npz"):
        message = refused("export", pool, "-o", own, "--format", form)
        expect(message, "own: already exists")


def test_a_pool_is_not_replaced_by_a_generator(
    refused: Callable, pool: Path, data: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(pool, copy)
    message = refused("fit", data, "-o", copy)
    expect(message, f"--output {copy}: expected a generator, got a 'sample pool'")


def test_a_pool_is_no_image_set_to_import(refused: Callable, pool: Path, tmp_path: Path) -> None:
    expect(refused("import", pool, "-o", tmp_path / NEW), f"{pool}: is a pool already")


TARGETS: dict[str, Words] = {
    "fit": ("fit", "DATA", "-o", "FREE", "--json", "TARGET"),
    "fit to": ("fit", "DATA", "-o", "TARGET"),
    "sample": ("sample", "GENERATOR", "-o", "FREE", "--json", "TARGET"),
    "sample to": ("sample", "GENERATOR", "-o", "TARGET"),
    "import": ("import", "DATA", "-o", "FREE", "--json", "TARGET"),
    "import to": ("import", "DATA", "-o", "TARGET"),
    "export": ("export", "POOL", "-o", "FREE", "--json", "TARGET"),
    "export to": ("export", "POOL", "-o", "TARGET"),
    "inspect": ("inspect", "POOL", "--json", "TARGET"),
    "gain": ("gain", "DATA", "--cache", "FREE", "--json", "TARGET"),
    "gain report": ("gain", "DATA", "--cache", "FREE", "--report", "TARGET"),
    "gain cache": ("gain", "DATA", "--cache", "TARGET"),
}


@pytest.fixture(params=["below a file", "read-only"])
def closed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A path that nothing can be written to."""
    if request.param == "below a file":
        (tmp_path / "file").write_text("text")
        return tmp_path / "file" / "below"
    (tmp_path / "locked").mkdir(mode=0o500)
    if os.access(tmp_path / "locked", os.W_OK):
        pytest.skip("nothing is read-only for this user")
    return tmp_path / "locked" / "below"


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever takes time fails."""

    def work(*_: object, **__: object) -> None:
        pytest.fail("work began")

    for name in (
        "gain.read_splits",
        "gain.measure_gain",
        "tune.read_splits",
        "generators.read_data",
        "generators.load_generator",
        "pools.read_data",
    ):
        monkeypatch.setattr(f"synthaug.cli.{name}", work)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("words", TARGETS.values(), ids=TARGETS)
def test_a_target_that_cannot_be_written_is_refused_before_any_work(
    words: Words,
    closed: Path,
    refused: Callable,
    data: Path,
    generator: Path,
    pool: Path,
    tmp_path: Path,
) -> None:
    known = {
        "DATA": data,
        "GENERATOR": generator,
        "POOL": pool,
        "FREE": tmp_path / NEW,
        "TARGET": closed,
    }
    message = refused(*(known.get(word, word) for word in words))
    expect(message, str(closed), "cannot write", "name another place")


@pytest.mark.parametrize(
    "words",
    [
        ("fit", "DATA", "-o", "PLACE"),
        ("fit", "DATA", "-o", "FREE", "--log", "PLACE"),
        ("gain", "DATA", "--report", "PLACE"),
        ("gain", "DATA", "--cache", "PLACE"),
        ("tune", "DATA", "-o", "FREE", "--cache", "PLACE"),
        ("import", "DATA", "-o", "PLACE"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("split", ["", "train"])
def test_nothing_is_written_where_it_would_be_read_as_a_class(
    refused: Callable, tree: Callable, tmp_path: Path, words: tuple[str, ...], split: str
) -> None:
    root = tmp_path / "images"
    tree(root / split, {"cat": 2, "dog": 2})
    known = {"DATA": root, "PLACE": root / split / NEW, "FREE": tmp_path / NEW}
    message = refused(*(known.get(word, word) for word in words))
    expect(message, f"{root / split / NEW}: lies in {root}, whose folders are read as classes")


def test_a_hidden_folder_and_one_beside_splits_may_lie_in_data(
    tree: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path / "flat", {"cat": 2, "dog": 2})
    tree(tmp_path / "split" / "train", {"cat": 2, "dog": 2})
    check_outside(str(tmp_path / "flat"), {"--cache": tmp_path / "flat" / ".cache" / "synthaug"})
    check_outside(str(tmp_path / "split"), {"--report": tmp_path / "split" / "out"})
    # A page beside class folders is no class, cells of a run are.
    check_outside(str(tmp_path / "flat"), {"--report": tmp_path / "flat"})
    for option in ("--cache", "--log"):
        with pytest.raises(InputError, match=f"{option} .*flat: lies in .*flat"):
            check_outside(str(tmp_path / "flat"), {option: tmp_path / "flat"})
    check_outside(str(tmp_path / "split"), {"--cache": tmp_path / "split"})
    tree(tmp_path / "digits", {"cat": 2, "dog": 2})
    monkeypatch.chdir(tmp_path)
    check_outside("digits", {"--report": Path("digits/out")})  # the name is that of those at hand


@pytest.mark.parametrize("words", [(), ("--per-class", "2")])
def test_groups_that_validation_shares_are_refused_whichever_images_are_drawn(
    refused: Callable, tmp_path: Path, words: tuple[str, ...]
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    labels, groups = np.arange(40) % 2, np.arange(40) // 2
    drawn = draw_subset(LabelledImages(images[:, None], labels, ["0", "1"], groups), 2, seed=0)
    shared = np.setdiff1d(groups, groups[drawn])[[0, 0, 1, 1]]
    held = {"val_images": 255 - images[:4], "val_labels": labels[:4], "val_groups": shared}
    parts = {"train_images": images, "train_labels": labels, "train_groups": groups, **held}
    np.savez(tmp_path / "data.npz", **parts)
    given = ("fit", tmp_path / "data.npz", "--validate", "--steps", "1", *words)
    expect(refused(*given, "-o", tmp_path / NEW), "groups: expected each group in one part only")


@pytest.mark.parametrize(
    ("count", "words", "message"),
    [
        (2, (), "at least 2 training images, got 1 after 1 of its 2 were held out by --validate"),
        (3, ("--per-class", "3"), "at least 3 training images, got 2 after 1 of its 3 were held"),
    ],
)
def test_too_few_images_beside_those_held_out_are_named(
    refused: Callable,
    tree: Callable,
    tmp_path: Path,
    count: int,
    words: tuple[str, ...],
    message: str,
) -> None:
    root = tree(tmp_path / "images", {"cat": count, "dog": 5})
    given = ("fit", root, "--validate", "--steps", "1", *words, "-o", tmp_path / NEW)
    expect(
        refused(*given), f"{root}: class 'cat': expected {message}", "give DATA validation images"
    )


def test_a_trace_replaces_nothing_but_a_trace(refused: Callable, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    trace.write_text('{"mine": 1}')
    message = refused("fit", "digits", "-o", tmp_path / NEW, "--profile", trace)
    expect(message, f"--profile {trace}: is there already, and is no trace", "name another file")
    assert trace.read_text() == '{"mine": 1}'


@pytest.mark.parametrize(
    "mine",
    [
        {"output": "runs/1", "lr": 0.1},
        {"versions": ["1.0"], "settings": {}},
        {"synthaug": "used", "arms": 2},
        {"kind": "recipe"},
    ],
)
def test_json_of_other_programs_is_not_replaced(
    mine: dict, refused: Callable, pool: Path, tmp_path: Path
) -> None:
    target = tmp_path / "conf.json"
    target.write_text(json.dumps(mine))
    message = refused("inspect", pool, "--json", target)
    expect(
        message, f"--json {target}: is there already, and is no earlier metadata", "name another"
    )


def test_the_json_of_each_command_is_replaced_by_its_own_alone(
    call: Callable, refused: Callable, data: Path, generator: Path, pool: Path, tmp_path: Path
) -> None:
    commands: tuple[tuple[Words, str], ...] = (
        (
            ("fit", data, "--generator", "style-swap", "-o", tmp_path / "g"),
            "metadata of a generator",
        ),
        (("sample", generator, "--per-class", "2", "-o", tmp_path / "p"), "metadata of a pool"),
        (("import", data, "-o", tmp_path / "i"), "metadata of a pool"),
        (("export", pool, "-o", tmp_path / "e"), "record of an export"),
        (("inspect", generator), "metadata of a generator"),
        (("inspect", pool), "metadata of a pool"),
    )
    kinds = [
        "metadata of a generator",
        "metadata of a pool",
        "record of an export",
        "result of gain",
    ]
    for words, kind in commands:
        target = tmp_path / f"{kind}.json"
        done = call(*words, "--json", target)
        assert done.status == 0, done.err
    hours = (RESULTS / "digits-5.json").read_text()
    (tmp_path / "result of gain.json").write_text(hours)
    for words, kind in commands:
        for other in set(kinds) - {kind}:
            target = tmp_path / f"{other}.json"
            message = refused(*words, "--json", target)
            expect(message, f"--json {target}: is there already, and is no earlier {kind};")
    assert (tmp_path / "result of gain.json").read_text() == hours


def test_the_result_of_other_images_is_not_replaced(
    refused: Callable, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object, **__: object) -> None:
        pytest.fail("work began")

    monkeypatch.setattr("synthaug.cli.gain.measure_gain", work)
    told = json.loads((RESULTS / "digits-5.json").read_text())
    told["data"]["name"] = str(data)  # another folder was called so where it was measured
    earlier = json.dumps(told)
    (tmp_path / "out").mkdir()
    for option, place, file in (
        ("--json", tmp_path / "gain.json", tmp_path / "gain.json"),
        ("--report", tmp_path / "out", tmp_path / "out" / "result.json"),
    ):
        file.write_text(earlier)
        message = refused("gain", data, "--cache", tmp_path / NEW, option, place)
        expect(
            message,
            f"{option} {file}: is there already",
            "is the result of other images (read from",
        )
        assert file.read_text() == earlier


def test_the_result_of_the_same_data_is_replaced_however_they_are_named(
    data: Path, tmp_path: Path
) -> None:
    target = tmp_path / "gain.json"
    train, test = read_images(data), read_images(data, split="test")
    result = json.loads((RESULTS / "digits-5.json").read_text())
    told = {"fingerprint": train.fingerprint, "test_fingerprint": test.fingerprint}
    result["data"] = {**result["data"], **told, "name": "elsewhere"}
    target.write_text(json.dumps(result))
    check_result("--json", target, train, test)
    check_result("--json", tmp_path / NEW, train, test)
    with pytest.raises(InputError, match=r"other images \(read from 'elsewhere'\)"):
        check_result("--json", target, train, train)
    result["data"] = "elsewhere"
    target.write_text(json.dumps(result))
    with pytest.raises(InputError, match="is the result of other images"):
        check_result("--json", target, train, test)


def test_places_without_a_name(
    refused: Callable,
    data: Path,
    generator: Path,
    pool: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (("fit", data), ("sample", generator), ("import", data)):
        expect(refused(*words, "-o", "."), "--output .: expected", "working directory")
    expect(refused("fit", data, "-o", "/"), "--output /: a file system is mounted there")
    expect(refused("export", pool, "-o", "."), "already exists")
    expect(refused("gain", data, "--json", ""), "--json", "this is a directory")
    for option in ("--report", "--cache"):  # these are folders that there may be other things in
        message = refused("gain", data, option, ".", "--generator", "none such")
        expect(message, "--generator: expected one of")
    assert not [*tmp_path.iterdir()]


def test_a_page_of_the_user_is_not_replaced(
    refused: Callable, call: Callable, tmp_path: Path
) -> None:
    result, page = RESULTS / "digits-5.json", tmp_path / "index.html"
    for _ in range(2):
        assert call("report", result, "-o", page).status == 0
    page.write_text("<!DOCTYPE html><html><body>mine</body></html>")
    message = refused("report", result, "-o", page)
    expect(message, f"--output {page}: is there already, and is no page that synthaug wrote")


def test_an_empty_argument_is_no_demonstration(
    refused: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(data: str, test: str, *_: object, **__: object) -> None:
        raise InputError(f"read {data!r} and {test!r}")

    monkeypatch.setattr("synthaug.cli.gain.read_splits", read)
    expect(refused("gain", "", "--test", "", "--cache", tmp_path / NEW), "read '' and ''")


SAME: dict[str, tuple[Words, tuple[str, str]]] = {
    "fit, json": (("fit", "digits", "-o", NEW, "--json", NEW), ("--json", "--output")),
    "fit, log": (("fit", "digits", "-o", NEW, "--log", f"./{NEW}"), ("--log", "--output")),
    "fit, log within": (("fit", "digits", "-o", NEW, "--log", f"{NEW}/log"), ("--log", "--output")),
    "fit, profile": (("fit", "digits", "-o", NEW, "--profile", NEW), ("--profile", "--output")),
    "fit, checkpoint": (
        ("fit", "digits", "-o", NEW, "--json", f"{NEW}.checkpoint"),
        ("--json", "the checkpoint of --output"),
    ),
    "fit, two": (("fit", "digits", "-o", "g", "--json", NEW, "--log", NEW), ("--log", "--json")),
    "sample": (("sample", "g", "-o", NEW, "--json", NEW), ("--json", "--output")),
    "import": (("import", "digits", "-o", NEW, "--json", NEW), ("--json", "--output")),
    "export": (
        ("export", "p", "-o", NEW, "--format", "npz", "--json", NEW),
        ("--json", "--output"),
    ),
    "tune": (("tune", "digits", "-o", NEW, "--json", NEW), ("--json", "--output")),
    "gain": (("gain", "digits", "--report", NEW, "--json", NEW), ("--json", "--report")),
    "gain, page": (
        ("gain", "digits", "--report", NEW, "--json", f"{NEW}/report.html"),
        ("--json", "the page of --report"),
    ),
    "gain, cache": (("gain", "digits", "--cache", NEW, "--json", NEW), ("--json", "--cache")),
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("gain", "digits", "--report", "a/b", "--json", "a"), ("--report", "--json")),
        (("fit", "digits", "-o", "a/b", "--json", "a"), ("--output", "--json")),
        (("tune", "digits", "-o", "a", "--json", "a/b"), ("--json", "--output")),
    ],
)
def test_a_target_below_a_file_is_refused_before_any_work(
    words: Words,
    options: tuple[str, str],
    refused: Callable,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    inner, outer = options
    expect(refused(*words), f"{inner} ", f"lies in {outer}, which holds nothing else")


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("name", ["x" * 245, "y" * 300, "circle/file"])
def test_a_path_that_no_file_can_have(
    name: str, refused: Callable, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("links")
    (place / "circle").symlink_to(place / "circle")
    for command in (
        ("gain", "digits", "--cache", tmp_path / NEW, "--json"),
        ("tune", "digits", "--cache", tmp_path / NEW, "-o"),
        ("fit", "digits", "-o"),
    ):
        expect(refused(*command, place / name), "no file can have this path", "name another")


def test_a_network_that_cannot_take_the_images(refused: Callable, tmp_path: Path) -> None:
    words = ("gain", "digits", "--classifier", "timm:vit_tiny_patch16_224")
    message = refused(*words, "--cache", tmp_path / NEW, "--device", "cpu")
    expect(message, "classifier size: timm:vit_tiny_patch16_224 cannot take images of 16 x 16")
    expect(message, "its own size is 224 (--classifier-size)")
    expect(refused("gain", "digits", "--classifier", "timm:resnet18.nonsense"), "--classifier: ")


def test_a_batch_too_small_for_a_share(refused: Callable, data: Path, tmp_path: Path) -> None:
    for command in (("gain", data), ("tune", data, "-o", tmp_path / "recipe.json")):
        message = refused(*command, "--batch-size", "2", "--cache", tmp_path / NEW)
        expect(message, "of 2 images is not one image; raise it, or batch_size")


def test_what_lies_in_a_directory_is_no_place_for_its_card(
    refused: Callable, pool: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "pool"
    shutil.copytree(pool, copied)
    message = refused("inspect", copied, "--json", copied / "card.json")
    expect(message, f"lies in {copied}, which could not be replaced any more")
    for given in (("-o", copied / "made"), ("-o", tmp_path / "made", "--json", copied / "c.json")):
        message = refused("export", copied, *given)
        expect(message, f"lies in {copied}, which could not be replaced any more")
    message = refused("sample", copied, "-o", copied / "pool")  # before it is opened
    expect(message, f"lies in {copied}, which could not be replaced any more")


def test_nothing_is_written_into_another_generator_or_pool(
    refused: Callable, call: Callable, data: Path, pool: Path, generator: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(pool, other)
    for words in (
        ("inspect", generator, "--json", other / "card.json"),
        ("sample", generator, "-o", other / "x"),
        ("export", pool, "-o", other / "x"),
        ("fit", data, "--generator", "style-swap", "-o", other / "deep" / "x"),
        ("import", data, "-o", other / "x"),
        ("report", RESULTS / "digits-5.json", "-o", other / "page.html"),
    ):
        expect(refused(*words), f"lies in {other}, which could not be replaced any more")
    # Of another program, as of a web page, it says nothing.
    (tmp_path / "manifest.json").write_text('{"kind": "web"}')
    assert call("inspect", pool, "--json", tmp_path / "card.json").status == 0


def test_numbers_that_json_lacks_are_named(refused: Callable, tmp_path: Path) -> None:
    told = json.loads((RESULTS / "digits-5.json").read_text())
    told["gain"]["points"] = float("nan")
    (tmp_path / "gain.json").write_text(json.dumps(told))
    message = refused("report", tmp_path / "gain.json", "-o", tmp_path / "page.html")
    expect(message, "gain.json: expected numbers, got NaN")


def test_memory_that_runs_out_is_said(refused: Callable, generator: Path, tmp_path: Path) -> None:
    words = ("sample", generator, "-o", tmp_path / "pool", "--per-class", "9999999999999")
    expect(refused(*words, status=1), "memory ran out (", "; ask for less at once")


def test_the_precision_is_checked_before_images_are_read(refused: Callable) -> None:
    for wrong in ("nan", "-1", "0", "inf"):
        message = refused("gain", "no such folder", "--precision", wrong)
        expect(message, "--precision: expected a number above 0")


def test_fewer_per_class_is_a_cure_where_some_are_held_out(
    refused: Callable, data: Path, tmp_path: Path
) -> None:
    words = ("fit", data, "-o", tmp_path / "x", "--generator", "vae", "--validate")
    message = refused(*words, "--per-class", "14")  # of its 14
    expect(message, "were held out by --validate; add images, or lower --per-class, or give")


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", [("gain",), ("tune", "-o", "recipe.json")])
def test_a_home_that_is_not_known(command: tuple, refused: Callable) -> None:
    message = refused(*command, "digits", "--cache", "~nobody-here/c")
    assert "~nobody-here/c: no home folder is known" in message


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("words", "options"), SAME.values(), ids=SAME)
def test_two_targets_in_one_place_are_refused_before_any_work(
    words: Words,
    options: tuple[str, str],
    refused: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    expect(refused(*words), *options, str(tmp_path / NEW))


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", [("gain", "digits"), ("tune", "digits", "-o", "r")])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("alexnet",), "--classifier: expected 'resnet' or 'timm:NAME', got 'alexnet'"),
        (("timm:resnet17",), "--classifier: timm knows no model 'resnet17'; close to it"),
        (("resnet", "--classifier-weights", "w"), "--classifier-weights: are for timm's networks"),
        (("timm:resnet18", "--classifier-weights", "w"), "--classifier-weights: no such file: w"),
        (
            ("timm:resnet10t", "--classifier-weights", "no"),
            "--classifier-weights: timm could",
        ),
    ],
)
def test_a_classifier_that_cannot_be_built_is_refused_before_images_are_read(
    command: Words,
    words: Words,
    said: str,
    refused: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no").write_text("no weights")
    expect(refused(*command, "--classifier", *words, "--cache", NEW), said)


def test_json_beside_the_page_is_no_second_target(
    call: Callable, data: Path, quick: tuple, tmp_path: Path
) -> None:
    report, cache = tmp_path / "out", tmp_path / "cells"
    target = report / "gain.json"
    done = call("gain", data, *quick, "--cache", cache, "--report", report, "--json", target)
    assert done.status == 0, done.err
    assert sorted(path.name for path in report.iterdir()) == [
        "gain.json",
        "report.html",
        "result.json",
    ]


def test_a_card_does_not_replace_that_of_a_generator_or_pool(
    refused: Callable, generator: Path, pool: Path, tmp_path: Path
) -> None:
    copies = {source: tmp_path / source.name for source in (generator, pool)}
    for source, copy in copies.items():
        shutil.copytree(source, copy)
    for words in (
        ("sample", generator, "-o", tmp_path / NEW, "--json", copies[generator] / "manifest.json"),
        ("export", pool, "-o", tmp_path / NEW, "--json", copies[pool] / "manifest.json"),
    ):
        expect(refused(*words), "--json", "manifest.json: is there already")


def test_a_directory_where_a_file_should_go(refused: Callable, data: Path, tmp_path: Path) -> None:
    message = refused("gain", data, "--cache", tmp_path / NEW, "--json", tmp_path)
    expect(message, f"--json {tmp_path}: expected a file to write, this is a directory")
    (tmp_path / "file").write_text("text")
    message = refused("fit", data, "-o", tmp_path / "file")
    expect(message, f"{tmp_path / 'file'}: expected a directory to write")
