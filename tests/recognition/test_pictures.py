"""Lists say .jpg; the pictures may have been aligned as something else, or come from another system."""

import pytest

from recognition.pictures import find_picture


@pytest.mark.parametrize("ending", [".jpg", ".JPG", ".jpeg", ".PNG", ".webp"])
def test_a_listed_picture_is_found_by_its_name(tmp_path, ending):
    (tmp_path / f"a{ending}").write_bytes(b"")
    assert find_picture(tmp_path / "a.jpg") == tmp_path / f"a{ending}"
    assert find_picture(tmp_path / "b.jpg") == tmp_path / "b.jpg"
