"""Bad input: exit status 2, one line on what, where and what to do, and nothing left behind."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_files import NEW, RESULTS, Words, archive, expect, noise

from synthaug.data import LabelledImages, draw_subset


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
