from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detector.text import form
from detector.text.form import forms

TEXTS = st.lists(st.text(max_size=60), min_size=1, max_size=6)


@given(TEXTS)
def test_a_form_depends_on_its_text_alone(texts: list[str]) -> None:
    together = forms(texts, [None] * len(texts))
    alone = np.concatenate([forms([text], [None]) for text in texts])
    assert together.tobytes() == alone.tobytes()


@given(st.text())
def test_shares_lie_between_nothing_and_all(text: str) -> None:
    found = forms([text], ["answer"])[0]
    shares = found[[form.DIGITS, form.MARKS, form.CAPITALS, form.SYMBOLS, form.FOREIGN, form.REPEATS]]
    assert (shares >= 0).all()
    assert (shares <= 1).all()
    assert 0 <= found[form.FIRST] < 2**16 > found[form.LAST] >= 0


def test_what_is_counted() -> None:
    one, two = forms(["Is 1+1 two? Is IT?", "is 1+1 what\nis it"], ["", None])
    assert one[form.DIGITS] == 2 / 18
    assert (one[form.ASKS], two[form.ASKS]) == (2, 0)
    assert (one[form.LINES], two[form.LINES]) == (0, 1)
    assert one[form.FIRST] == two[form.FIRST]  # whatever the capitals
    assert one[form.REPEATS] == two[form.REPEATS] == 1 / 5
    assert one[form.ANSWERED] == 0
    assert np.isnan(two[form.ANSWERED])


def test_requests_for_reasoning_and_refusals_are_known() -> None:
    found = forms(["Explain it step by step", "Explain it"], ["I'm sorry, but no.", "It is so."])
    assert found[:, form.ELICITS].tolist() == [1, 0]
    assert found[:, form.REFUSED].tolist() == [1, 0]
