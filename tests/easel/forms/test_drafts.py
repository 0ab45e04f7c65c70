"""A draft may hold any object that can be kept, however wrong it is as a form."""

from __future__ import annotations

from typing import Any

import pytest
from easel.common.errors import InvalidInput
from easel.forms.drafts import problems, readable
from easel.forms.gallery import read_file
from easel.forms.reading import InvalidDefinition, parse_definition
from hypothesis import given
from hypothesis import strategies as st

from tests.easel.forms.test_definitions import json


@given(json | st.dictionaries(st.sampled_from(["components", "schema_version", "x"]), json))
def test_whatever_can_be_kept_is_told_its_problems(data: Any) -> None:
    try:
        draft = readable(data)
    except InvalidInput as refusal:
        assert refusal.detail
        return
    try:
        parse_definition(draft)
    except InvalidDefinition:
        assert problems(draft)
    else:
        assert problems(draft) == []


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_file_is_a_template_or_refused_by_its_name(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="mine"):
        read_file("mine.json", content)
