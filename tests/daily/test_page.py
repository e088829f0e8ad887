#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML report in a real headless Chromium: it renders, is silent, fits, and nothing gets out of it."""

import json
import os
import shutil
import sys

import browser
import case

ID = "20260101-120000-00bb22"
PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
# What a page is like to who reads it: texts, and what is wider than the window or than its own box.
LOOK = """({
  text: document.body.innerText,
  ours: window.hacked === undefined,
  wide: document.documentElement.scrollWidth > window.innerWidth,
  over: [...document.querySelectorAll('body *')].filter(e => {
    const b = e.getBoundingClientRect();
    return b.width > 0 && (b.right > window.innerWidth + 1 || b.left < -1);
  }).map(e => e.tagName),
  small: [...document.querySelectorAll('p,td,th,pre,code,figcaption,span,div')].filter(e =>
    e.innerText && parseFloat(getComputedStyle(e).fontSize) < 12).map(e => e.tagName),
  broken: [...document.querySelectorAll('th,.names td:first-child')].filter(e =>
    e.getClientRects().length && e.firstChild && (r => {
      r.selectNodeContents(e);
      return new Set([...r.getClientRects()].map(b => b.top)).size > 1;
    })(document.createRange())).map(e => e.innerText),
  plots: [...document.querySelectorAll('svg')].map(e => {
    const b = e.getBoundingClientRect();
    return [b.width, b.height];
  }),
  lines: [...document.querySelectorAll('polyline')].map(e => e.getTotalLength()),
  limits: document.querySelectorAll('line.limit').length,
  bar: [...document.querySelectorAll('.bar div')].map(e => e.getBoundingClientRect().width),
  scripts: document.scripts.length,
  elements: [...new Set([...document.querySelectorAll('body *')].map(e => e.localName))].sort(),
})"""


class Page(case.Case):
    def setUp(self):
        super().setUp()
        self.assertIsNotNone(PROGRAM, "no chromium (tests/run.sh installs it)")
        self.browser = browser.Browser(self, PROGRAM, self.path("profile"))
        # the folder goes while the browser is still there
        self.addCleanup(self.browser.process.kill)

    def page(self, hostile, log):
        path = self.path("home/.local/state/contractor/builds", ID)
        os.makedirs(path)
        with open(os.path.join(path, "log"), "w", encoding="utf-8") as f:
            f.write(log)
        with open(os.path.join(path, "report.json"), "w", encoding="utf-8") as f:
            json.dump(case.sample_report(ID, hostile), f)
        r = self.contractor("report", "--html", "page.html")
        self.assertEqual(r.exit, 0, r)
        return "file://" + self.path("page.html")

    def look(self, url, width):
        self.browser.open(url, width)
        seen = self.browser.ask(LOOK)
        said = self.browser.said("Log.entryAdded", "Runtime.consoleAPICalled",
                                 "Runtime.exceptionThrown")
        self.assertEqual(said, [], "the page is not silent")
        asked = [e["request"]["url"] for e in self.browser.said("Network.requestWillBeSent")]
        self.assertEqual(asked, [url], "the page asks for something")
        self.assertEqual(self.browser.said("Page.javascriptDialogOpening"), [])
        self.assertFalse(seen["wide"], f"scrolls sideways at {width}")
        self.assertEqual(seen["over"], [], f"cut off at {width}")
        self.assertEqual(seen["small"], [], f"too small to read at {width}")
        self.assertEqual(seen["broken"], [], f"words in pieces at {width}")
        self.assertEqual(seen["scripts"], 0)
        return seen

    def test_renders(self):
        url = self.page(False, "a line\n" + "w" * 3000 + "\nthe last line\n")
        for width in (400, 1400):
            seen = self.look(url, width)
            for text in ("built", ID, "boot", "Processor time", "Memory", "Disk in use", "Network",
                         "limit 2 GiB", "the last line"):
                self.assertIn(text, seen["text"])
            self.assertEqual(len(seen["plots"]), 6)
            for w, h in seen["plots"]:
                self.assertGreater(w, 300, seen["plots"])
                self.assertGreater(h, 100, seen["plots"])
            self.assertTrue(all(n > 100 for n in seen["lines"]), seen["lines"])
            # of memory and bandwidth; far above the lines of the others they are told in words
            self.assertEqual(seen["limits"], 2)
            self.assertEqual(seen["text"].count("(above this plot)"), 3)
            # the phases of 1.5 s and 2.5 s share the bar as they have shared the time
            one, two = seen["bar"]
            self.assertAlmostEqual(two / one, 2.5 / 1.5, delta=0.1)

    def test_hostile(self):
        log = case.HOSTILE + "\n<svg onload=window.hacked=1>\n</pre><base href=http://evil.test/>" \
            "<link rel=stylesheet href=//evil.test/x><meta http-equiv=refresh content='0;url=//evil.test'>" \
            "<style>@import '//evil.test/y';</style><iframe src=//evil.test></iframe>\n"
        url = self.page(True, log)
        for width in (400, 1400):
            seen = self.look(url, width)
            self.assertTrue(seen["ours"], "a script of the log's has run")
            self.assertIn("<svg onload=window.hacked=1>", seen["text"])
            self.assertIn("<script>alert(1)</script>", seen["text"])
            self.assertIn("to allow it", seen["text"])
            self.assertEqual(set(seen["elements"]) - {
                "b", "br", "code", "div", "figcaption", "figure", "h1", "h2", "i", "line", "p",
                "polyline", "pre", "span", "svg", "table", "tbody", "td", "th", "tr"}, set())
            self.assertEqual(self.browser.ask("document.location.href"), url)

    def test_policy(self):
        """Should a text ever get through: the page's own policy lets it do nothing."""
        url = self.page(False, "MARK\n")
        page = self.read("page.html")
        self.write("page.html", page.replace(
            "MARK", "<script>window.hacked=1</script><img src=http://127.0.0.1:9/x "
                    "onerror=window.hacked=2><svg onload=window.hacked=3></svg>"
                    "<iframe src=http://127.0.0.1:9/y></iframe>"))
        self.browser.open(url, 1400)
        self.assertTrue(self.browser.ask("window.hacked === undefined"))
        # what was refused is told in the console: so the listener that is silent above does hear
        said = self.browser.said("Log.entryAdded")
        self.assertGreaterEqual(len(said), 3, said)
        failed = self.browser.said("Network.loadingFailed")
        self.assertTrue(all("csp" in (f.get("blockedReason") or f["errorText"]).lower()
                            for f in failed), failed)


if __name__ == "__main__":
    sys.exit(case.main(__name__))
