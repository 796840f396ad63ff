"""Trees of empty files, built from the published counts of corpora that YAML files define."""

import csv
import re

from ser_keras.corpora import Corpus


def build(root, corpus: Corpus):
    """Builds a corpus of all published utterances, or of four per label where no count is known.

    A reader looks at names alone, so the files are empty. Recordings of one label and speaker have
    one name in different folders.
    """
    if corpus.definition.pattern:
        for label, speaker, number in cells(corpus):
            name = written(corpus, label, speaker)
            for copy in range(number):
                path = root / str(copy) / f"{name}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    else:
        _build_with_table(root, corpus)
    return root


def cells(corpus):
    """Yields (label, speaker, number) with the counts of both labels and speakers."""
    info = corpus.info
    total = info.utterances or 4 * len(info.labels)
    labels = _counts(info.labels, list(info.labels), total)
    left = list(_counts(info.speakers, speaker_names(corpus), total).items())
    for label, number in labels.items():
        while number:
            speaker, free = left.pop()
            taken = min(number, free)
            yield label, speaker, taken
            number -= taken
            if free > taken:
                left.append((speaker, free - taken))


def _counts(published, names, total):
    if published and None not in published.values():
        return dict(published)
    share, rest = divmod(total, len(names))
    return {name: share + (index < rest) for index, name in enumerate(names)}


def speaker_names(corpus):
    """Returns the speakers of a definition: listed, known by their genders, or numbered."""
    facts, info = corpus.definition.facts, corpus.info
    if info.speakers:
        return list(info.speakers)
    group = facts["speaker"].group
    for fact in facts.values():
        if group and fact.group == group and fact.meanings:
            return list(fact.meanings)
    first = corpus.parse_stem(info.example)["speaker"] if group else "user1"
    digits = re.search(r"\d+$", first)[0]
    numbers = range(1, info.num_speakers + 1) if info.num_speakers else [int(digits)]
    return [f"{first.removesuffix(digits)}{number:0{len(digits)}}" for number in numbers]


def written(corpus, label, speaker):
    """Returns the example's name with the codes of a label and of a speaker."""
    definition = corpus.definition
    name = definition.example.lower() if definition.ignore_case else definition.example
    match = re.fullmatch(definition.pattern, name, re.ASCII)
    codes = {}
    for fact, value in (("speaker", speaker), ("label", label)):
        rule = definition.facts[fact]
        known = [code for code, meaning in rule.meanings.items() if meaning == value]
        codes[match.span(rule.group)] = (known or [value])[0]
    for (start, end), code in sorted(codes.items(), reverse=True):
        before = name[start:end]
        name = name[:start] + code + name[end:]
        if "(?P=" in definition.pattern:
            name = name.replace(before, code)
    return name


def _build_with_table(root, corpus):
    rows = []
    for label, speaker, count in cells(corpus):
        rows += [(f"{len(rows) + copy}", label, speaker) for copy in range(count)]
    build_with_rows(root, corpus, rows)


def build_with_rows(root, corpus, rows):
    """Builds a corpus whose table has these rows of name, label and speaker."""
    rule, facts = corpus.definition.table, corpus.definition.facts
    codes = {meaning: code for code, meaning in facts["label"].meanings.items()}
    lines = [[rule.file, *(fact.column for fact in facts.values())]]
    (root / rule.folder).mkdir(parents=True)
    for name, label, speaker in rows:
        (root / rule.folder / f"{name}.wav").touch()
        values = {"label": codes.get(label, label), "speaker": speaker}
        lines.append([f"{name}.wav", *(values.get(fact, "x") for fact in facts)])
    table = root / rule.path
    table.parent.mkdir(parents=True, exist_ok=True)
    with open(table, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
