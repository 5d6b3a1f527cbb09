from pathlib import Path

import numpy as np
import pytest
from reading_images import tree

from synthaug.core import InputError
from synthaug.data import read_images, splits_of
from synthaug.data.stacking import SkippedImages


def manifest(tmp_path: Path, *lines: str) -> Path:
    tree(tmp_path / "pictures", {"a": 3, "b": 3})
    path = tmp_path / "set.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_paths_are_relative_to_the_file_and_labels_are_names(tmp_path: Path) -> None:
    path = manifest(tmp_path, "path,label", "pictures/a/1.png,n10", "pictures/b/0.png,n9")
    data = read_images(path)
    assert splits_of(path) == ("train",)
    assert data.classes == ("n10", "n9")
    assert data.labels.tolist() == [0, 1]
    assert data.images[:, 0, 0, 0].tolist() == [1, 10]
    assert data.groups is None


@pytest.mark.parametrize(
    ("names", "order"),
    [
        ([str(number) for number in range(12)], [str(number) for number in range(12)]),
        (["1", "2", "10"], ["1", "10", "2"]),
        (["00", "1", "2"], ["00", "1", "2"]),
    ],
)
def test_labels_that_are_class_numbers_keep_them(
    tmp_path: Path, names: list[str], order: list[str]
) -> None:
    root = tree(tmp_path / "pictures", dict.fromkeys(names, 1))
    lines = [f"pictures/{name}/0.png,{name}" for name in reversed(names)]
    data = read_images(manifest(tmp_path, "path,label", *lines))
    assert list(data.classes) == order
    assert [data.classes[label] for label in data.labels] == names[::-1]
    assert list(read_images(root).classes) == sorted([*names, "a", "b"])  # as ImageFolder has it


def test_splits_and_groups(tmp_path: Path) -> None:
    path = manifest(
        tmp_path,
        "\ufefflabel, Path ,split,group,remark",
        "x,pictures/a/0.png,train,p1,",
        "y,pictures/a/1.png,Training,,blurred",
        "x,pictures/a/2.png,valid,p2,",
    )
    assert splits_of(path) == ("train", "val")
    train = read_images(path)
    assert train.groups is not None
    assert train.groups.tolist() == ["p1", "train image 1"]
    assert read_images(path, split="val").counts.tolist() == [1, 0]


@pytest.mark.parametrize("column", ["patient", "Patient ID", "subject-id", "tracks", "lesion_id"])
def test_groups_have_the_names_that_archives_know(tmp_path: Path, column: str) -> None:
    rows = ["pictures/a/0.png,a,p1,9", "pictures/a/1.png,a,,9", "pictures/b/0.png,b,p1,9"]
    groups = read_images(manifest(tmp_path, f"path,label,{column},age", *rows)).groups
    assert groups is not None
    assert groups.tolist() == ["p1", "train image 1", "p1"]


def test_what_programs_write_for_a_missing_group_is_none(tmp_path: Path) -> None:
    missing = ["nan", "NA", "None"]
    rows = [f"pictures/a/{i}.png,a,{word}" for i, word in enumerate(missing)]
    path = manifest(tmp_path, "path,label,patient", *rows, "pictures/b/0.png,b,Nan Li")
    groups = read_images(path).groups
    assert groups is not None
    assert groups.tolist() == [*(f"train image {i}" for i in range(3)), "Nan Li"]


def test_quotes_may_follow_a_space(tmp_path: Path) -> None:
    rows = ['pictures/a/0.png, "a"', "pictures/a/1.png,a", '"pictures/b/0.png", "b"']
    data = read_images(manifest(tmp_path, "path, label", *rows))
    assert (data.classes, data.labels.tolist()) == (("a", "b"), [0, 0, 1])


def test_a_column_that_may_group_images_by_another_name_is_told(tmp_path: Path) -> None:
    """What repeats itself and has more values than there are classes: a case, not a sex."""
    remarks = {"a1": "blurred", "b0": "old", "b2": "dark"}  # the others have none
    rows = [
        f"pictures/{name}/{i}.png,{name},c{i},f,{name}{i},{remarks.get(f'{name}{i}', '')}"
        for name in "ab"
        for i in range(3)
    ]
    path = manifest(tmp_path, "path,label,case_id,sex,number,remark", *rows)
    with pytest.warns(
        UserWarning, match="set.csv: case_id: not used; .* rename it to group$"
    ) as told:
        assert read_images(path).groups is None
    assert told[0].filename == __file__
    read_images(manifest(tmp_path, "path,label,case_id,sex,group,remark", *rows))  # no warning


def test_a_column_called_group_goes_before_others(tmp_path: Path) -> None:
    rows = ["pictures/a/0.png,a,p1,d1", "pictures/b/0.png,b,p1,d2"]
    groups = read_images(manifest(tmp_path, "path,label,patient,group", *rows)).groups
    assert groups is not None
    assert groups.tolist() == ["d1", "d2"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,class", "a,b"], "columns path,label .*; missing label, got path,class"),
        ([""], "missing path and label, got nothing"),
        (["path;label", "a;b"], "missing path and label, got path;label; separate .* by commas"),
        (["path\tlabel", "a\tb"], "missing path and label, got .*; separate .* by commas"),
        (["path,label"], "got a header alone"),
        (["path,label", "x.png,"], "line 2: expected a label, got nothing"),
        (["path,label", ",a"], "line 2: expected a path, got nothing"),
        (["path,label", "x.png"], "line 2: expected a label, got nothing"),
        (["path,label,split", "x.png,a,dev"], "line 2: expected split train, val or test, got 'd"),
        (["path,label", "x.png,a", "./x.png,b"], "line 3: expected each image once, but .* line 2"),
        (["path,label", "x.png,a", "y/../x.png,b"], "line 3: expected each image once"),
        (["path,label,label", "x.png,a,b"], "got a column label more than once; rename"),
        (["path,label", "x.png,a, left"], "line 2: expected a cell for each column .*got 1 more"),
        (["path,label,patient,track", "x.png,a,1,2"], "got patient, track; rename .* to group$"),
        (["path,label", "pictures/a/0.png,a"], "at least two classes, got only 'a'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, lines: list[str], message: str) -> None:
    path = manifest(tmp_path, *lines)
    with pytest.raises(InputError, match=rf"set\.csv: .*{message}"):
        read_images(path)


def test_a_full_path_is_the_same_file(tmp_path: Path) -> None:
    path = manifest(tmp_path, "path,label", "x.png,a", f"{tmp_path / 'x.png'},b")
    with pytest.raises(InputError, match=r"line 3: expected each image once, but .* on line 2"):
        read_images(path)


def test_a_missing_image_is_named_or_skipped(tmp_path: Path) -> None:
    rows = ["pictures/a/0.png,a", "pictures/b/0.png,b", "gone.png,b"]
    path = manifest(tmp_path, "path,label,group", *[f"{row},{i}" for i, row in enumerate(rows)])
    with pytest.raises(InputError, match=r"gone\.png: .*there is no such file"):
        read_images(path)
    with pytest.warns(SkippedImages):
        data = read_images(path, on_error="skip")
    assert data.groups is not None
    assert np.array_equal(data.groups, ["0", "1"])


def test_backslashes_in_a_path_are_named(tmp_path: Path) -> None:
    """As a file that was written on Windows has them."""
    (tmp_path / "scans.csv").write_text("path,label\nf\\a\\0.png,a\nf\\b\\0.png,b\n")
    with pytest.raises(InputError, match=r"no such file; here / separates folders, not \\;"):
        read_images(tmp_path / "scans.csv")


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    path.write_bytes("path,label\nä.png,a\n".encode("latin-1"))
    with pytest.raises(InputError, match="expected a CSV file in UTF-8"):
        read_images(path)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({1: 'pictures/a/1.png,x,"begins'}, "unexpected end of data; is a quote left open"),
        ({1: 'pictures/a/1.png,x,"a" b'}, "expected after '\"'; is a quote left open before"),
        (
            {1: 'pictures/a/1.png,x,"begins', 4: 'pictures/b/1.png,y,and ends"'},
            r"line 6: .* its cell remark goes on over several lines.*is a quote left open before",
        ),
        ({1: 'pictures/a/1.png,"x\ny",'}, "line 4: .* its cell label goes on over several lines"),
    ],
    ids=["open", "text after", "closed rows later", "in a label"],
)
def test_a_quote_that_is_left_open_takes_no_rows(
    tmp_path: Path, broken: dict[int, str], message: str
) -> None:
    rows = [f"pictures/{name}/{i}.png,{label}," for name, label in ("ax", "by") for i in range(3)]
    rows = [broken.get(index, row) for index, row in enumerate(rows)]
    with pytest.raises(InputError, match=message):
        read_images(manifest(tmp_path, "path,label,remark", *rows))


def test_a_text_of_several_lines_beside_the_labels_is_one(tmp_path: Path) -> None:
    rows = [f"pictures/{name}/0.png,{name},none" for name in "ab"]
    report = '"No effusion, no pneumothorax,\nheart ""normal""."'
    path = manifest(tmp_path, "path,label,report", *rows, f"pictures/a/1.png,a,{report}")
    assert read_images(path).counts.tolist() == [2, 1]
