"""Events of a long job."""

from foundation.errors import unknown_name
from foundation.progress import Event, counted, ignore


def test_counted_tells_before_each_item_and_at_the_end():
    heard = []
    assert list(counted("ab", heard.append, "tracking", 2)) == ["a", "b"]
    assert heard == [Event("tracking", k, 2) for k in (0, 1, 2)]
    heard.clear()
    assert list(counted("ab", heard.append, "reading", None, "pictures")) == ["a", "b"]
    assert [(e.done, e.total, e.unit) for e in heard] == [(0, None, "pictures"), (1, None, "pictures")]
    assert list(counted([], ignore, "x", 0)) == []


def test_names_that_are_far_from_all_are_listed():
    assert str(unknown_name("colour", "zzz", ["red", "blue"])) == "unknown colour 'zzz': known: red, blue"
    assert str(unknown_name("colour", "BLEU", ["red", "blue"])) == "unknown colour 'BLEU': did you mean 'blue'?"
