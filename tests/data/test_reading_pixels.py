import numpy as np
import pytest
import torch
from PIL import Image
from reading_images import noise

from synthaug.core import InputError
from synthaug.data.decoding import checked_size, from_array, from_tensor, in_mode, resize


def test_arrays_of_each_layout_come_channels_first() -> None:
    colour = noise(8, 9, 3)
    assert np.array_equal(from_array(colour), colour.transpose(2, 0, 1))
    assert np.array_equal(from_array(colour.transpose(2, 0, 1)), colour.transpose(2, 0, 1))
    assert from_array(colour[..., 0]).shape == (1, 8, 9)
    assert from_array(colour[..., :1]).shape == (1, 8, 9)


def test_big_endian_arrays_keep_their_values() -> None:
    assert from_array(np.full((8, 8), 258, ">u2")).max() == 258


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_other_types_are_refused_with_the_way_out(dtype: str) -> None:
    with pytest.raises(InputError, match=rf"got {dtype}; .*convert"):
        from_array(np.zeros((8, 8), dtype))


def test_four_channels_are_refused() -> None:
    with pytest.raises(InputError, match="drop an alpha channel"):
        from_array(np.zeros((8, 8, 4), np.uint8))


def test_tensors_keep_their_depth() -> None:
    deep = torch.full((3, 8, 9), 300, dtype=torch.int32).to(torch.uint16)
    assert from_tensor(deep).dtype == np.uint16
    assert from_tensor(torch.zeros(8, 9, 1, dtype=torch.uint8)).shape == (1, 8, 9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int16])
def test_the_tensors_of_to_tensor_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(InputError, match="without ToTensor or ToDtype"):
        from_tensor(torch.zeros(1, 8, 8, dtype=dtype))


def test_gray_is_the_luma_of_pillow() -> None:
    colour = noise(16, 16, 3)
    pillow = np.asarray(Image.fromarray(colour).convert("L"))
    assert np.array_equal(in_mode(from_array(colour), "gray")[0], pillow)


def test_gray_of_16_bit_white_is_white() -> None:
    gray = in_mode(np.full((3, 8, 8), 65535, np.uint16), "gray")
    assert gray.dtype == np.uint16
    assert gray.min() == 65535


def test_rgb_repeats_gray() -> None:
    assert np.array_equal(in_mode(noise(1, 8, 8), "rgb"), np.repeat(noise(1, 8, 8), 3, 0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_resizing_keeps_depth_and_the_whole_range(dtype: type) -> None:
    top = np.iinfo(dtype).max
    halves = np.zeros((1, 16, 16), dtype)
    halves[:, 8:] = top
    small = resize(halves, (8, 10))
    assert small.dtype == dtype
    assert small.shape == (1, 8, 10)
    assert small[0, 0].tolist() == [0] * 10
    assert small[0, -1].tolist() == [top] * 10


@pytest.mark.parametrize("shape", [(20, 20), (48, 36), (8, 8)])
def test_cropping_changes_nothing_where_proportions_agree(shape: tuple[int, int]) -> None:
    pixels, size = noise(1, *shape), (shape[0] * 3 // 2, shape[1] * 3 // 2)
    assert np.array_equal(resize(pixels, size, crop=True), resize(pixels, size))


def test_cropping_takes_the_middle() -> None:
    pixels = noise(1, 20, 47)
    middle = pixels[:, :, 8:39]
    assert np.array_equal(resize(pixels, (20, 31), crop=True), middle)
    turned = resize(pixels.transpose(0, 2, 1), (31, 20), crop=True)
    assert np.array_equal(turned, middle.transpose(0, 2, 1))


def test_resizing_is_antialiased() -> None:
    stripes = np.zeros((1, 64, 64), np.uint16)
    stripes[:, :, ::2] = 60000
    assert 28000 < resize(stripes, (8, 8)).min() <= resize(stripes, (8, 8)).max() < 32000


def test_sides_of_numpy_are_those_of_python() -> None:
    assert checked_size(np.int64(16)) == checked_size((np.int32(16), 16)) == (16, 16)


@pytest.mark.parametrize("size", [7, 257, (8,), (8, 300), "32", (8.0, 8.0)])
def test_sizes_out_of_range_are_refused(size: object) -> None:
    with pytest.raises(InputError, match="each a whole number from 8 to 256"):
        checked_size(size)
