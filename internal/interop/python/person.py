"""A person in front of a browser that runs no JavaScript, who fills in the hosted pages."""

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests


class Form(HTMLParser):
    """The form of a page that goes on: where it goes, what is in it, and its button, which is one of buttons."""

    def __init__(self, page, buttons):
        super().__init__()
        self.buttons = buttons
        self.action, self.fields, self.inputs, self.button, self.found = None, {}, set(), None, False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if self.found:
            return
        if tag == "form":
            self.action, self.fields, self.inputs, self.button = a.get("action", ""), {}, set(), None
        elif tag == "input" and a.get("type") == "hidden":
            self.fields[a["name"]] = a.get("value", "")
        elif tag == "input":
            self.inputs.add(a.get("id"))
        elif tag == "button" and a.get("id") in self.buttons:
            self.button = a

    def handle_endtag(self, tag):
        self.found = self.found or tag == "form" and self.button is not None


class Person:
    def __init__(self, issuer, email, password):
        self.issuer, self.known, self.http = issuer, {"email": email, "password": password}, requests.Session()
        self.approves = True  # what the person says on the consent page
        self.pressed = []  # the buttons of the pages that were shown, since the last address that was opened

    def open(self, address):
        """Goes to an address and does what the pages ask for, until the browser is sent to somebody else: there."""
        self.pressed = []
        buttons = ("login-submit", "consent-approve" if self.approves else "consent-deny")
        answer = self.http.get(address, allow_redirects=False)
        while True:
            if answer.is_redirect:
                to = urljoin(answer.url, answer.headers["Location"])
                if urlsplit(to)[:2] != urlsplit(self.issuer)[:2]:
                    return to
                answer = self.http.get(to, allow_redirects=False)
                continue
            form = Form(answer.text, buttons)
            if answer.status_code != 200 or form.button is None or form.button["id"] in self.pressed:
                raise RuntimeError(f"{answer.url} answered {answer.status_code}: {answer.text}")
            self.pressed.append(form.button["id"])
            fields = form.fields | {name: self.known[name] for name in form.inputs & set(self.known)}
            if form.button.get("name"):
                fields[form.button["name"]] = form.button["value"]
            answer = self.http.post(urljoin(answer.url, form.action), data=fields, allow_redirects=False,
                                    headers={"Origin": self.issuer, "Sec-Fetch-Site": "same-origin"})
