"""What of a page stands in English where the reader chose Chinese."""

import re
from html.parser import HTMLParser

# What has no Chinese form: file paths, software with its version, names, terms.
NAMES = re.compile(
    r"(?:\.{0,2}/)?(?:[\w.-]+/)+[\w.-]+|\w+ \d+(?:\.\d+)+\S*|AMD EPYC|CC BY(?:-\w+)*|"
    r"Bland-Altman|McNemar|DeLong|Holm|ROC|AUROC|AP|NSD|HD95|IoU|SD|CLAIM|TRIPOD|JSON|Grad-CAM"
)
WORD = r"[A-Za-z][A-Za-z'’]+"
RUN = re.compile(rf"{WORD}(?:[\s\d,;:()\[\]·.&%-]+{WORD}){{2,}}")
BLOCKS = {
    *("aside", "br", "dd", "div", "dl", "dt", "figcaption", "figure", "h1", "h2", "h3", "li", "p"),
    *("section", "summary", "svg", "table", "td", "text", "th", "tr", "ul"),
}
VOID = {"br", "img", "input", "link", "meta"}
UNSEEN = {"button", "code", "head", "script", "style"}


class Reading(HTMLParser):
    """The lines of text that a reader of Chinese sees."""

    def __init__(self):
        super().__init__()
        self.lines, self.open = [""], []

    def handle_starttag(self, tag, attrs):
        if tag in BLOCKS:
            self.lines.append("")
        if tag not in VOID:
            english = "en" in (dict(attrs).get("class") or "").split()
            self.open.append(tag in UNSEEN or english)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        self.open.pop()
        if tag in BLOCKS:
            self.lines.append("")

    def handle_data(self, data):
        if not any(self.open):
            self.lines[-1] += data


def english(text: str) -> list[str]:
    """Runs of three or more English words."""
    return RUN.findall(NAMES.sub("、", text))


def english_in(page: str) -> list[str]:
    """The same of the lines of a page that a reader of Chinese sees, each once."""
    reading = Reading()
    reading.feed(page)
    assert not reading.open and any("一" <= letter <= "鿿" for letter in "".join(reading.lines))
    return [run for line in dict.fromkeys(reading.lines) for run in english(line)]
