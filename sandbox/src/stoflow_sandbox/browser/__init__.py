"""A seller's browser without a browser: it speaks connector-vinted/PROTOCOL.md to a gateway and performs the same calls
as the extension at a site in the manner of Vinted. For tests and the demo.

`ScriptedBrowser` is the browser, `SiteTab` its tab of the site, `RequestMemory` what it keeps of requests. What a
person does (close the tab, pause, resume) are methods, so that a test plays the seller.
"""

from stoflow_sandbox.browser.memory import RequestMemory
from stoflow_sandbox.browser.scripted_browser import BrowserSettings, PairingRefusedError, ScriptedBrowser
from stoflow_sandbox.browser.site_tab import SiteTab

__all__ = ["BrowserSettings", "PairingRefusedError", "RequestMemory", "ScriptedBrowser", "SiteTab"]
