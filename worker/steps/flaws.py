"""What the audit finds, in words: the flaw, what was done about it, or what there is to do."""

from worker.store.census import Flaw

# By kind: what is wrong, with {subject} and the figures {0}, {1} ...; then what a mend did about it.
# Where no mend is possible the first text ends with the way out.
_ENTRY = "entry {subject}: "
_STORY = "story {subject}: "
_ARTICLE = "article {subject}: "
_WORDS: dict[str, tuple[str, str]] = {
    # --- entries: in exactly one place, and not for long in `pending` ---
    "entry_torn": (_ENTRY + "its record is torn", "removed it"),
    "entry_vanished": (_ENTRY + "pending, but has no record", "took it off the pending ones"),
    "held_vanished": (_ENTRY + "in quarantine, but has no record", "took it out of the quarantine"),
    "settled_pending": (_ENTRY + "pending, but settled", "took it off the pending ones"),
    "not_held": (_ENTRY + "given up, but not in quarantine", "put it into the quarantine"),
    "settled_held": (_ENTRY + "settled, but in quarantine", "took it out of the quarantine"),
    "pending_held": (_ENTRY + "pending and in quarantine", "took it out of the quarantine"),
    "held_unmarked": (_ENTRY + "in quarantine, but not marked as given up", "marked it"),
    "forgotten": (_ENTRY + "neither pending nor settled: forgotten", "made it pending, due now"),
    "stage_unknown": (_ENTRY + "without outcome, but in no stage", "put it back to its stage"),
    "overdue": (_ENTRY + "overdue by {0} s; is `samestory poll` running?", ""),
    "unledgered": (
        _ENTRY + "feed {0} listed it, but there is no record of it",
        "will be new when the feed lists it again; its next poll asks for all",
    ),
    # --- entries: attached means that the article is there ---
    "article_lost": (
        _ENTRY + "attached, but article {0} is gone",
        "made it pending, to be attached again",
    ),
    "article_lost_in_replay": (
        _ENTRY + "attached, but article {0} is gone",
        "made it pending; replay its source into this namespace again",
    ),
    "article_lost_for_good": (
        _ENTRY + "attached, but article {0} is gone, and no archived page tells of it",
        "put it into the quarantine, to be retried or dropped",
    ),
    "article_lost_here": (
        _ENTRY + "attached, but article {0} is gone; its page is not in this machine's archive "
        "({1}): repair where paths.archive has it",
        "",
    ),
    # --- counts ---
    "held_count": (
        "{0} entries count as quarantined, but {1} are held",
        "counted those that are held",
    ),
    "outcome_count": (
        "{0} entries count as {subject}, but {1} are",
        "counted those that are",
    ),
    "sum_short": (
        "{0} entries were claimed, but {1} are pending and {2} have an outcome",
        "counted those that are nowhere as rejected (lost)",
    ),
    "sum_over": (
        "{0} entries were claimed, but {1} are pending and {2} have an outcome",
        "took the counts from the entries that there are",
    ),
    "articles": (
        "{0} articles are attached, but the outcomes say {1} to {2}; only a replay into a new namespace counts them again",
        "",
    ),
    "seq_behind": (
        "language {subject}: {0} attaches, but the newest is number {1}",
        "numbers go on from there",
    ),
    "docs_ahead": (
        "language {subject}: {0} articles in the document counts of {1} attached",
        "lowered the counts",
    ),
    # --- articles and stories ---
    "article_torn": (
        _ARTICLE + "its record is torn; redis-cli DEL '{0}', then repair attaches it again",
        "",
    ),
    "story_gone": (
        _ARTICLE + "a member of story {0}, which is gone",
        "opened the story again; only reprints of its articles can join it",
    ),
    "story_merged": (
        _ARTICLE + "names story {0}, which became part of another one",
        "made it a member of that one",
    ),
    "not_listed": (_ARTICLE + "names story {0}, which does not list it", "listed it"),
    "story_torn": (
        _STORY + "its record is torn; redis-cli DEL '{0}', then repair opens it again",
        "",
    ),
    "shown_gone": (_STORY + "on the list of stories, but gone", "took it off the list"),
    "shown_merged": (
        _STORY + "on the list of stories, but part of another one",
        "took it off the list",
    ),
    "not_shown": (_STORY + "not on the list of stories", "put it on the list"),
    "alias_lost": (
        _STORY + "became part of {0}, but that leads to no story",
        "forgot the id",
    ),
    "stranger": (
        "article {0}: a member of story {subject}, but names another one",
        "took it off that story's list",
    ),
    "member_lost": (
        _STORY + "lists article {0}, which is gone",
        "took it off the list",
    ),
    "story_empty": (_STORY + "has no article", "removed it"),
    "story_size": (_STORY + "counts {0} articles, has {1}", "counted them"),
    "story_copies": (_STORY + "counts {0} reprints, has {1}", "counted them"),
    "story_sources": (
        _STORY + "counts {1} own accounts of {0} publishers, has {3} of {2}",
        "counted them",
    ),
    "family": (
        _STORY + "the original of the texts like {0} is not the one published first",
        "named that one",
    ),
    # --- the index ---
    "offers_no_story": (
        _STORY + "the index offers it, but it is gone",
        "took it out of the index",
    ),
    "offers_no_text": (
        "language {subject}: the index offers article number {0}, but it is gone",
        "took it out of the index",
    ),
}


def told(flaw: Flaw) -> str:
    """Return a flaw in words; a mended one with what was done."""
    wrong, done = _WORDS[flaw.kind]
    text = wrong.format(*flaw.figures, subject=flaw.subject)
    return f"{text} → {done}" if flaw.mended else text
