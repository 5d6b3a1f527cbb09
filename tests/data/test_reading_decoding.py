import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reading_images import noise, ramp16, save, save_png16, save_tiff16

from synthaug.core import InputError
from synthaug.data.decoding import from_file, from_pil
from synthaug.data.listing import UnreadableImage


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_gray_keeps_every_value(tmp_path: Path, suffix: str) -> None:
    pixels = from_file(save(tmp_path / f"a.{suffix}", ramp16()))
    assert pixels.dtype == np.uint16
    assert np.array_equal(pixels, ramp16()[None])


def test_16_bit_gray_pgm_keeps_every_value(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5\n12 10\n65535\n" + ramp16().astype(">u2").tobytes())
    assert np.array_equal(from_file(path), ramp16()[None])
    assert from_file(path).dtype == np.uint16


def test_big_endian_tiff_comes_in_native_order() -> None:
    image = Image.frombytes("I;16B", (12, 10), ramp16().astype(">u2").tobytes())
    assert np.array_equal(from_pil(image), ramp16()[None])
    assert from_pil(image).dtype.isnative


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_png_keeps_every_value(tmp_path: Path, channels: int) -> None:
    colour = np.stack([ramp16() // (i + 1) for i in range(channels)], -1)
    pixels = from_file(save_png16(tmp_path / "a.png", colour))
    assert pixels.dtype == np.uint16
    assert np.array_equal(pixels, colour[..., :3].transpose(2, 0, 1))


def test_16_bit_gray_with_alpha_is_gray(tmp_path: Path) -> None:
    pixels = from_file(save_png16(tmp_path / "a.png", np.stack([ramp16(), ramp16() * 0], -1)))
    assert np.array_equal(pixels, ramp16()[None])


def test_16_bit_colour_tiff_and_ppm_keep_every_value(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    colour = np.stack([ramp16(), ramp16() // 2, ramp16() // 3], -1)
    tiff, ppm = tmp_path / "a.tiff", tmp_path / "a.ppm"
    tiff.write_bytes(cv2.imencode(".tiff", colour[..., ::-1])[1].tobytes())
    ppm.write_bytes(b"P6\n12 10\n65535\n" + colour.astype(">u2").tobytes())
    for path in (tiff, ppm):
        assert from_file(path).dtype == np.uint16
        assert np.array_equal(from_file(path), colour.transpose(2, 0, 1))


def test_ppm_white_is_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6\n8 8\n4095\n" + np.full((8, 8, 3), 4095, ">u2").tobytes())
    assert from_file(path).min() == 65535


def test_a_16_bit_colour_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = save_png16(tmp_path / "a.png", np.stack([noise(10, 12, dtype=np.uint16)] * 3, -1))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UnreadableImage):
        from_file(path)


def test_32_bit_integers_that_fit_become_16_bit_and_others_are_refused() -> None:
    fits = Image.fromarray(np.array([[0, 40000]] * 2, np.int32))
    assert from_pil(fits).dtype == np.uint16
    assert from_pil(fits).max() == 40000
    with pytest.raises(InputError, match="from 0 to 65535, got -5 to 70000"):
        from_pil(Image.fromarray(np.array([[-5, 70000]], np.int32)))


def test_floats_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.ones((8, 8), np.float32))
    with pytest.raises(InputError, match="32-bit floats"):
        from_file(path)


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGB", 3), ("RGBA", 3), ("CMYK", 3), ("YCbCr", 3)],
)
def test_each_mode_has_its_channels(mode: str, channels: int) -> None:
    pixels = from_pil(Image.new("RGB", (9, 8), (255, 255, 255)).convert(mode))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (channels, 8, 9)
    assert pixels.min() == 255


def test_transparent_palette_gives_its_colours(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.info["transparency"] = b"\x00\xff"
    image.save(tmp_path / "a.png")
    pixels = from_file(tmp_path / "a.png")
    assert pixels[:, 0, 0].tolist() == [255, 0, 0]
    assert pixels[:, 0, 1].tolist() == [0, 0, 255]


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (16, 8)).save(tmp_path / "a.jpg", exif=exif)
    assert from_file(tmp_path / "a.jpg").shape == (3, 16, 8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bit_colour_is_turned_as_8_bit_colour_is(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    colour = noise(8, 9, 3)
    Image.fromarray(colour).save(tmp_path / "a.png", exif=exif)
    deep = save_png16(
        tmp_path / "b.png", colour.astype(np.uint16) * 257, exif.tobytes().removeprefix(b"Exif\0\0")
    )
    turned = from_file(tmp_path / "a.png")
    assert turned.shape == ((3, 8, 9) if orientation < 5 else (3, 9, 8))
    assert np.array_equal(from_file(deep), turned.astype(np.uint16) * 257)


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp", "gif"])
def test_every_suffix_is_read(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix.upper()}", np.full((8, 9, 3), 200, np.uint8))
    assert from_file(path).shape == (3, 8, 9)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"hello", "expected an image file"),
        ("a.png", b"hello", "its content is not one of PNG, JPEG"),
        ("a.png", b"", "its content is not one of"),
        ("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "its content is not"),
    ],
)
def test_what_is_not_an_image_is_unreadable(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableImage, match=message):
        from_file(tmp_path / name)


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="no such file"):
        from_file(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "gif"])
def test_a_file_cut_short_is_unreadable_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", noise(32, 32))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableImage, match="leave such images out"):
        from_file(path)
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208


def test_a_tiff_with_a_damaged_directory_is_unreadable(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", noise(8, 9))
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, start)
    # Where the next directory begins, of which there is none: now an empty one.
    struct.pack_into("<I", content, start + 2 + 12 * entries, len(content))
    path.write_bytes(content + bytes(8))
    with pytest.raises(UnreadableImage, match="that Pillow can read, but TypeError: "):
        from_file(path)


def test_a_photograph_with_previews_is_one_image(tmp_path: Path) -> None:
    preview = Image.new("RGB", (8, 8))
    Image.new("RGB", (16, 12)).save(
        tmp_path / "a.jpg", "MPO", save_all=True, append_images=[preview]
    )
    assert from_file(tmp_path / "a.jpg").shape == (3, 12, 16)


def test_several_frames_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(8, 8, seed=i)) for i in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableImage, match="got 3 frames"):
        from_file(tmp_path / "a.gif")


def test_16_bit_x_rays_whose_white_is_zero_are_turned_to_white(tmp_path: Path) -> None:
    """As 8-bit ones are; most are stored so (MONOCHROME1)."""
    ray = ramp16()
    usual = save_tiff16(tmp_path / "a.tif", ray[None], photometric=1)
    inverted = save_tiff16(tmp_path / "b.tif", ray[None], photometric=0)
    assert np.array_equal(from_file(usual)[0], ray)
    assert np.array_equal(from_file(inverted)[0], 65535 - ray)


def test_16_bit_colours_in_planes_are_refused(tmp_path: Path) -> None:
    """Pillow and OpenCV read them as other colours."""
    planes = np.stack([ramp16(), ramp16()[::-1], ramp16() // 2])
    path = save_tiff16(tmp_path / "a.tif", planes, photometric=2)
    with pytest.raises(UnreadableImage, match="its 16-bit colours are stored in planes"):
        from_file(path)


def test_what_describes_a_photo_may_be_damaged(tmp_path: Path) -> None:
    entries = struct.pack("<HHII", 0x0112, 3, 1, 6) + struct.pack("<HHII", 0x0128, 1, 1, 2)
    odd = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + bytes(4)
    photo = Image.fromarray(noise(16, 12, 3))
    photo.save(tmp_path / "odd.jpg", exif=odd)  # a number in a type of other numbers
    assert from_file(tmp_path / "odd.jpg").shape == (3, 12, 16)
    broken = save_png16(tmp_path / "a.png", ramp16()[..., None].repeat(3, 2), b"no such data")
    assert np.array_equal(from_file(broken)[0], ramp16())
