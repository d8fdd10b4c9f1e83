"""Headless Chromium as a client, driven by playwright: run by the Python of .venv-soak, not by the one of the tests.

    browser.py CHROMIUM AUTHORITY URL...

Opens each page in one browser that believes only AUTHORITY's keys (base64 of SHA-256, comma-separated) and waits for a line of
input between two; per page one line of JSON: status, protocols, how many images have loaded, connections of its images.
"""
import json
import sys

from playwright.sync_api import sync_playwright

SEEN = """() => performance.getEntries().filter(e => ["navigation", "resource"].includes(e.entryType)).map(e => ({
    name: e.name, protocol: e.nextHopProtocol, connected: e.connectEnd > e.connectStart, status: e.responseStatus }))"""
LOADED = "() => [...document.images].filter(i => i.complete && i.naturalWidth > 0).length"


def main(chromium, keys, *urls):
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=[
            # Root has no sandbox in a container. Names are the test's; keys are believed although no store knows them.
            "--no-sandbox", "--host-resolver-rules=MAP *.test 127.0.0.1", f"--ignore-certificate-errors-spki-list={keys}"])
        page = browser.new_context().new_page()
        for number, url in enumerate(urls):
            if number:
                sys.stdin.readline()
            status = page.goto(url, wait_until="load").status
            print(json.dumps({"status": status, "entries": page.evaluate(SEEN), "loaded": page.evaluate(LOADED)}), flush=True)
        browser.close()


main(*sys.argv[1:])
