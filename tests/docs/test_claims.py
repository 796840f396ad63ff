"""What is said about the five papers: nothing that they contradict, and what they leave open."""

import re

import pytest
import yaml

from docs.error_messages import ROOT

PAGES = ROOT / "docs" / "systems"

# What must not be said, and what the paper says instead.
FALSE = {
    "the paper's own study": "MOMA, 5.2: the depth vs. width is a future research direction",
    "paper: MOMA, Table 1": "MOMA, Table 1: one row is MOMA, the others are published systems",
    '"MOMA, Table 1", "model"': "MOMA, Table 1: one row is MOMA, the others other systems",
    "`none` are its baselines": "MOMA, 4.5: the baselines are other systems on IEM4",
    "the only reading in which": "MOMA, 3.3: [number of frames] x 1024, as a repeated vector has",
    "summed over time; it keeps": "MOMA, 3.3: the attention projection is of size [frames] x 1024",
    "log-mel energies per 10 ms": "MOMA, 4.2: 23-dimensional log-Mel filterbank features",
    "epochs bring nothing": "MOMA, 4.3: ReduceLROnPlateau with patience 4 waits for the fifth",
    "reports this number as its WA": "MOMA, Eq. 10: UA = (TP + TN) / (P + N)",
    "averaged over one-against-the-rest": "MOMA, 4.4: nothing of how Eq. 10 treats four classes",
    "the context vector of MOMA, Sec. 3.3": "MOMA, 3.3: the result is projected to 1024 nodes",
    "five times the speech": "MOMA, 4.1: 4290 utterances; CNN, 3.1: the improvised part alone",
    "each the mean of 40 MFCC": "VRNN, 3.2: from each window, we extract 40 MFCCs",
    "RAVDESS with a random fifth": "VRNN, 3.1: split into 80% train and 20% test",
    "size of the paper's maps": "CNN, 2.2: 2 x 2 max-pooling, without its places",
    "the maps the paper's size": "CNN, 2.1: 400 x 200 is the size of the input",
    "for pitch and for time": "CNN, 2.3: time-specific and frequency-specific filters",
    "the paper's segments have no padding": "CNN, 2.1: nothing of utterances below 2 s",
    "whose results are means over the sessions": "FCN, III-A: nothing of how folds are averaged",
    "| one hidden layer": "autoencoder, III-B: the hidden layers",
    "a study of the papers": "only the CNN's paper compares values of a setting (3.2, Fig. 2)",
    "studies of the papers": "only the CNN's paper compares values of a setting (3.2, Fig. 2)",
    "figures of the papers": "only MOMA (Figs. 2-5) and FCN (Fig. 4) draw their attention",
    "figure of the model's paper": "only MOMA (Figs. 2-5) and FCN (Fig. 4) draw their attention",
    "in its paper's figures": "only MOMA (Figs. 2-5) and FCN (Fig. 4) draw their attention",
}

# What the reader of a page has to be told.
TOLD = {
    "moma": ["Sec. 5.2 leaves this to future research", "25 ms windows every 10 ms"],
    "predictive_vrnn": ["z = mean at test", "the mean over the frames", "epsilon 1e-10"],
    "attention_cnn": ["after which layers", "length 1, then signed square roots"],
    "alexnet_fcn": ["no cosine, no warm-up", "no class weights, no dropout"],
    "sparse_autoencoder": ["25 % keep their labels", "which of the two is printed"],
}


@pytest.fixture(scope="module")
def texts():
    """The words of every text of the project by path, each run of space as one."""
    folders = ("benchmarks", "docs", "examples", "pipeline", "ser_keras", "serving", "tuning")
    files = [
        *(file for folder in folders for file in (ROOT / folder).rglob("*")),
        *ROOT.glob("*.*"),
        *(ROOT / "tests").rglob("*"),
        *(ROOT / "results" / "searches").rglob("*.json"),
        *(ROOT / "results" / "studies").rglob("*.json"),
    ]
    kinds = {".md", ".py", ".yaml", ".cff", ".ipynb", ".json"}
    texts = {
        file.relative_to(ROOT).as_posix(): " ".join(file.read_text(encoding="utf-8").split())
        for file in files
        if file.suffix in kinds and file.name != "test_claims.py"
    }
    assert len(texts) > 200
    return texts


@pytest.mark.parametrize("phrase", FALSE)
def test_nothing_is_said_that_a_paper_contradicts(texts, phrase):
    assert [name for name, text in texts.items() if phrase in text] == [], FALSE[phrase]


def test_the_attention_fcn_is_of_2018_everywhere(texts):
    years = {
        name: set(re.findall(r"Zhang et al\.,? (\d{4})", text)) - {"2018"}
        for name, text in texts.items()
    }
    assert {name: wrong for name, wrong in years.items() if wrong} == {}
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["references"]
    [fcn] = [paper for paper in cited if "Fully Convolutional" in paper["title"]]
    assert fcn["year"] == 2018
    assert "APSIPA 2018" in texts["docs/cite.md"]
    assert "Zhang and Tu 2018" in texts["docs/systems/alexnet_fcn.md"]


@pytest.mark.parametrize("system", TOLD)
def test_a_page_says_what_its_paper_leaves_open(texts, system):
    page = texts[f"docs/systems/{system}.md"]
    assert [phrase for phrase in TOLD[system] if phrase not in page] == []
    lines = (PAGES / f"{system}.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("| setting | the paper fixes | it leaves open | we chose |")
    rows = lines[start + 2 : lines.index("", start)]
    assert len(rows) >= 8
    for row in rows:
        setting, fixed, left_open, chosen = (cell.strip() for cell in row.split("|")[1:-1])
        assert setting
        assert chosen
        assert fixed or left_open
        assert not fixed or re.search(r"Sec\. |Eq\. |Alg\. ", fixed), row
