from worker.core.memo import Memo


def test_memo_when_full_then_forgets_and_still_knows() -> None:
    """Memory is bounded, and what was forgotten is computed once more."""
    asked: list[str] = []

    def length(word: str) -> int:
        asked.append(word)
        return len(word)

    memo = Memo(length, size=2)
    assert [memo[word] for word in ("a", "bb", "a", "ccc", "a")] == [1, 2, 1, 3, 1]
    assert asked == ["a", "bb", "ccc", "a"]
    assert len(memo) == 2
