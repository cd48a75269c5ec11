"""Documents as patterns: a unit for every word of the vocabulary, so that a damaged text is looked up by its words.

Salton, Wong and Yang 1975, "A vector space model for automatic indexing". ``features`` says what a unit holds:

* ``words``: +1 where the document has the word, -1 where it has not.
* ``counts``: how often it has the word, f.
* ``tf-idf``: (1 + ln f) (ln((1 + n) / (1 + d)) + 1) of a word in d of n documents, as scikit-learn has it with a
  sublinear term frequency (Spärck Jones 1972), without its division by the length, on which no cosine depends.

Counts and weights are scaled from -1, none, to 1, the largest of all documents. ``hide:p`` drops every word with
probability p, and ``replace:p`` puts another word in its place. The recalled pattern is compared with every stored
document by the cosine of its weights, (x + 1) / 2, and the code of a memory that has one by its Euclidean distance
(Hinton and Salakhutdinov 2006, whose codes of two units are drawn as a map).

Three sources: ``corpus``, 120 short texts on 10 topics that were written for this purpose and come along;
``manual``, the sections of the manual's pages in a checkout, whose topics are its folders; and a folder of your own.
Words are of two letters and more, in lower case; scikit-learn's English stop words are left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta

from envs.common.patterns.sampling import Patterns, Pool, make_pool
from simulator.core.files.escaping import MAX_PATH, shortened, visible
from simulator.core.files.reading import read_text
from simulator.core.memories import PatternSpec, RetrievalSpec
from simulator.core.notices import notice
from simulator.core.protocols import Array
from simulator.core.registry import ROOT
from simulator.core.stopping import raise_if_stopped

SUFFIXES = (".txt", ".md", ".rst")
CORPUS = Path(__file__).with_name("corpus.txt")
MANUAL = ROOT / "docs"
LEAST_WORDS = 20  # of a section of the manual, before stop words are left out
_HEADING = re.compile(r"^#+ .*$", re.MULTILINE)
_NO_PROSE = re.compile(r"^```.*?^```$|^\|.*$|\{\{.*?\}\}|\]\([^)]*\)", re.MULTILINE | re.DOTALL)


class Document(NamedTuple):
    """A text and its topic."""

    text: str
    topic: str  # empty: none


@dataclass(frozen=True)
class Config:
    """Settings of the documents."""

    source: Literal["corpus", "manual"] = "corpus"
    """corpus: 120 short texts on 10 topics; manual: the sections of Engram's own manual, in a checkout"""
    path: str = ""
    """a folder of text files (.txt, .md, .rst) in place of the source; its sub-folders are topics"""
    features: Literal["words", "counts", "tf-idf"] = "words"
    """words: a unit is +1 where the word occurs, else -1; counts and tf-idf: weights, scaled to -1 to 1"""
    min_documents: Annotated[int, Meta(ge=1, le=10**6)] = 2
    """documents that a word has to occur in to be a unit"""
    max_words: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    """units at most: the words that occur most often"""
    k: Annotated[int, Meta(ge=1, le=1_000)] = 5
    """neighbours that precision at k looks at"""


def files(config: Config) -> list[str]:
    """Return the files that the documents are read from, where they are no part of Engram."""
    if config.path:
        return [str(file) for file in _text_files(Path(config.path))]
    return [str(file) for file in sorted(MANUAL.rglob("*.md"))] if config.source == "manual" else []


def make(seed_list: Sequence[int], config: Config) -> Patterns:
    """Make the documents, in a random order for every seed, labelled by topic.

    Raises:
        ValueError: no folder, no text file in it, a file that is no text, a single document, or no word that occurs in
            enough of them; one line.
    """
    bag = _bag(config.source, config.path, config.min_documents, config.max_words)
    weights = bag.counts
    if config.features == "words":
        weights = np.minimum(bag.counts, 1.0)
    elif config.features == "tf-idf":
        weights = tf_idf(bag.counts)
    levels = "two" if config.features == "words" else "grey"
    pool = make_pool(Pool(weights, bag.labels, levels, 0.5, float(weights.max())))
    _tell_equal(len(weights) - len(pool.values), len(weights))
    spec = PatternSpec((weights.shape[1],), config.features == "words")
    return Patterns(
        "documents",
        spec,
        len(pool.values),
        seed_list,
        pool.row,
        RetrievalSpec(config.k, bag.topics),
    )


def tf_idf(counts: Array) -> Array:
    """Compute (1 + ln f) (ln((1 + n) / (1 + d)) + 1) of counts f [n, V]; 0 where a document has not the word."""
    n_documents = len(counts)
    n_with_word = (counts > 0).sum(axis=0)
    idf = np.log((1.0 + n_documents) / (1.0 + n_with_word)) + 1.0
    frequency = np.where(counts > 0, 1.0 + np.log(np.maximum(counts, 1.0)), 0.0)
    return (frequency * idf).astype(np.float32)


class Bag(NamedTuple):
    """Counts of words."""

    counts: Array  # float32 [M, V]
    labels: Array  # int64 [M], the topic's number; -1: none
    topics: tuple[str, ...]
    words: tuple[str, ...]  # of the V columns


def _bag(source: str, path: str, min_documents: int, max_words: int) -> Bag:
    place = f"documents: {visible(shortened(path, MAX_PATH))}" if path else f"documents, {source}"
    documents = _folder(path) if path else _manual() if source == "manual" else corpus()
    if len(documents) < 2:
        raise ValueError(f"{place}: found {len(documents)} document, expected at least 2 to tell apart")
    from sklearn.feature_extraction.text import CountVectorizer  # takes a second

    counter = CountVectorizer(
        token_pattern=r"[^\W\d_]{2,}",
        stop_words="english",
        min_df=min(min_documents, len(documents)),
        max_features=max_words,
    )
    try:
        counts = counter.fit_transform([document.text for document in documents])
    except ValueError:  # it says so in words of its own
        raise ValueError(
            f"{place}: min_documents = {min_documents}: no word occurs in so many of {len(documents)} documents, "
            "expected a smaller number, or texts with common words"
        ) from None
    topics = tuple(sorted({document.topic for document in documents if document.topic}))
    labels = np.array([topics.index(document.topic) if document.topic else -1 for document in documents], np.int64)
    table = counts.toarray().astype(np.float32)
    spoken = table.any(axis=1)
    if not spoken.all():
        silent = int((~spoken).sum())
        left = "one document has" if silent == 1 else f"{silent} documents have"
        notice("documents", f"{left} no word of the vocabulary and {'is' if silent == 1 else 'are'} left out")
    return Bag(table[spoken], labels[spoken], topics, tuple(map(str, counter.get_feature_names_out())))


def _tell_equal(n_equal: int, n: int) -> None:
    if n_equal:
        equal = "has the same words as an earlier one" if n_equal == 1 else "have the same words as earlier ones"
        notice("documents", f"{n_equal:,} of {n:,} {equal} and left out, {n - n_equal:,} remain")


def corpus() -> list[Document]:
    """Read the shipped texts."""
    documents = []
    for block in CORPUS.read_text("utf-8").split("# ")[1:]:
        topic, *texts = [part.strip() for part in block.split("\n\n")]
        documents += [Document(text, topic) for text in texts if text]
    return documents


def _manual() -> list[Document]:
    """Read the sections of the manual, without code, tables and links."""
    pages = sorted(MANUAL.rglob("*.md"))
    if not pages:
        raise ValueError(f"documents: source = manual: found no page in {MANUAL}, expected to run from a checkout")
    documents = []
    for page in pages:
        folder = page.relative_to(MANUAL).parts[0]
        topic = "pages" if folder == page.name else folder
        for section in _HEADING.split(_NO_PROSE.sub(" ", read_text(page))):
            if len(section.split()) >= LEAST_WORDS:
                documents.append(Document(section, topic))
    return documents


def _text_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())


def _folder(path: str) -> list[Document]:
    """Read every text file of a folder; its topic is the sub-folder that it is in.

    Raises:
        ValueError: no folder, no text file, or one that is no text; one line.
    """
    folder = Path(path)
    shown = visible(shortened(path, MAX_PATH))
    if not os.path.isdir(path):
        raise ValueError(f"documents: path = {shown!r}: no such folder, expected a folder of text files")
    found = _text_files(folder)
    if not found:
        raise ValueError(f"documents: {shown}: found no text, expected files that end in {' '.join(SUFFIXES)}")
    documents = []
    for file in found:
        raise_if_stopped()
        text = read_text(file, "a text in UTF-8")
        if "\0" in text:
            raise ValueError(f"documents: {visible(str(file))}: found a null byte, expected a text in UTF-8")
        parts = file.relative_to(folder).parts
        documents.append(Document(text, parts[0] if len(parts) > 1 else ""))
    return documents


if __name__ == "__main__":
    for document in corpus()[::12]:
        print(f"{document.topic}: {document.text}")
