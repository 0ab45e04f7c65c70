"""Whatever bytes come: rows and rejections, or one clear refusal."""

from __future__ import annotations

import pytest
from easel.common.errors import Refusal
from easel.prompts import parsing
from easel.prompts.parsing import parse_file
from hypothesis import given
from hypothesis import strategies as st

TABLE_CHARACTERS = st.text(st.sampled_from('prompt,"\n\r\t aé\0'), max_size=200)


@given(
    st.sampled_from(["p.txt", "p.csv", "p.tsv", "p", "p.CSV", "p.json", "p.jsonl"]),
    st.binary(max_size=300) | TABLE_CHARACTERS,
)
def test_any_bytes_give_rows_or_a_refusal(name: str, content: bytes | str) -> None:
    try:
        parsed = parse_file(name, content if isinstance(content, bytes) else content.encode(), 250)
    except Refusal as refusal:
        assert refusal.detail
        return
    assert all(row.text.strip() and "\0" not in row.text for row in parsed.rows)
    assert len({row.digest for row in parsed.rows}) == len(parsed.rows)


@given(TABLE_CHARACTERS)
def test_a_table_behind_a_good_header_never_fails_as_a_whole(rows: str) -> None:
    parsed = parse_file("p.csv", f"prompt,note\n{rows}".encode(), 10_000)
    lines = [row.number for row in parsed.rows] + [row.row for row in parsed.rejected]
    assert len(set(lines)) == len(lines)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).map(str.strip)))
def test_every_line_of_a_text_file_is_a_prompt_once(lines: list[str]) -> None:
    wanted = list(dict.fromkeys(line for line in lines if line))
    try:
        parsed = parse_file("p.txt", "\n".join(lines).encode(), 10_000_000)
    except Refusal:
        assert not wanted
        return
    assert [row.text for row in parsed.rows] == wanted


def test_more_prompts_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "MAX_ROWS", 2)
    with pytest.raises(Refusal, match="more than 2 prompts"):
        parse_file("p.txt", b"a\nb\nc", 100)


@pytest.mark.parametrize("text", ["prompt,category\na cat,x\0y\na dog,z", "prompt,cat\0egory\na cat,x"])
def test_a_zero_byte_beside_the_prompt_costs_its_row_alone(text: str) -> None:
    found = parse_file("prompts.csv", text.encode(), 2**20)
    assert "a cat" not in {row.text for row in found.rows}
    assert "zero" in found.rejected[0].reason
