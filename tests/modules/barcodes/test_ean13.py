"""In-store EAN-13 codes: built with the right check digit, refused with the wrong one."""

from __future__ import annotations

import pytest

from recyclic.modules.barcodes import ean13


@pytest.mark.parametrize(
    ("number", "prefix", "code"),
    [
        (1, 20, "2000000000015"),
        (42, 20, "2000000000428"),
        (9_999_999_999, 20, "2099999999998"),
        (1, 29, "2900000000018"),
    ],
)
def test_number_becomes_a_code_with_its_check_digit(number, prefix, code):
    assert ean13.in_store_code(number, prefix) == code


@pytest.mark.parametrize("code", ["4006381333931", "3017620422003", "9780201379624"])
def test_real_codes_are_read(code):
    """Codes printed on things that are sold all over the world."""
    assert ean13.read_code(code) == code


def test_blanks_and_hyphens_of_a_typed_code_are_dropped():
    assert ean13.read_code(" 978-0-201-37962-4\r\n") == "9780201379624"
    assert ean13.read_code("2 000000 000015") == "2000000000015"


@pytest.mark.parametrize("position", range(13))
def test_any_single_wrong_digit_is_noticed(position):
    code = "2000000000015"
    for step in range(1, 10):
        wrong = f"{code[:position]}{(int(code[position]) + step) % 10}{code[position + 1 :]}"
        with pytest.raises(ean13.InvalidCodeError, match="check digit"):
            ean13.read_code(wrong)


@pytest.mark.parametrize(
    ("scanned", "reason"),
    [
        ("", "must be 13 digits"),
        ("abc", "must be 13 digits"),
        ("200000000001X", "must be 13 digits"),
        ("²000000000015", "must be 13 digits"),
        ("٢٠٠٠٠٠٠٠٠٠٠١٥", "must be 13 digits"),
        ("200000000001", "has 12 digits"),
        ("20000000000150", "has 14 digits"),
    ],
)
def test_what_is_no_code_is_refused_with_the_reason(scanned, reason):
    with pytest.raises(ean13.InvalidCodeError, match=reason):
        ean13.read_code(scanned)


@pytest.mark.parametrize("prefix", [19, 30, 0, -1])
def test_prefix_of_the_worldwide_range_is_refused(prefix):
    with pytest.raises(ValueError, match="not an in-store prefix"):
        ean13.in_store_code(1, prefix)


@pytest.mark.parametrize("number", [-1, 10**10])
def test_number_that_does_not_fit_is_refused(number):
    with pytest.raises(ValueError, match="ten digits"):
        ean13.in_store_code(number)


def test_bars_are_those_of_the_standard():
    """Decoded by the tables of the standard (GS1 General Specifications 5.2.1), not by the library that drew them."""
    left_odd = [f"{widths:07b}" for widths in (13, 25, 19, 61, 35, 49, 47, 59, 55, 11)]
    left_even = [f"{widths:07b}" for widths in (39, 51, 27, 33, 29, 57, 5, 17, 9, 23)]
    right = [f"{widths:07b}" for widths in (114, 102, 108, 66, 92, 78, 80, 68, 72, 116)]
    pattern = ["0"] * 95
    for start, width in ean13.bars("2000000000428"):
        pattern[start : start + width] = "1" * width
    drawn = "".join(pattern)

    assert (drawn[:3], drawn[45:50], drawn[92:]) == ("101", "01010", "101")
    parity, digits = "", ""
    for at in range(3, 45, 7):
        group = drawn[at : at + 7]
        parity += "O" if group in left_odd else "E"
        digits += str((left_odd if group in left_odd else left_even).index(group))
    assert parity == "OOEEOE"  # a first digit of 2
    digits += "".join(str(right.index(drawn[at : at + 7])) for at in range(50, 92, 7))
    assert digits == "000000000428"
