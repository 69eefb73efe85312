// Keys press the buttons that show them. Digits and arrows survive Telex and VNI typing.
(function () {
  "use strict";
  // A key pressed for the page before must not decide the page after it.
  var QUIET_MS = 250;
  var shownAt = performance.now() - QUIET_MS;
  var busy = false;

  function typing(target) {
    if (!(target instanceof Element)) return false;
    if (target.closest("textarea, select, [contenteditable]")) return true;
    var input = target.closest("input");
    return input !== null && input.type !== "checkbox";
  }

  document.addEventListener("keydown", function (event) {
    if (event.defaultPrevented || event.repeat) return;
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    if (event.isComposing || event.keyCode === 229 || typing(event.target)) return;
    if (event.key === "Enter" && event.target instanceof Element) {
      if (event.target.closest("input")) event.preventDefault(); // else it presses the first button
      if (event.target.closest("a, button, summary, input")) return; // the element's own meaning
    }
    if (busy || performance.now() - shownAt < QUIET_MS) return;
    var wanted = Array.from(document.querySelectorAll("[data-key]")).find(function (element) {
      return element.dataset.key.split(" ").includes(event.key);
    });
    if (!wanted) return;
    event.preventDefault();
    wanted.click();
  });

  function notice(name) {
    var place = document.getElementById("notice");
    place.textContent = name && place.dataset[name];
    place.hidden = name === "";
  }

  document.addEventListener("htmx:before:request", function () { busy = true; notice(""); });
  document.addEventListener("htmx:finally:request", function () { busy = false; });
  document.addEventListener("htmx:after:swap", function () {
    busy = false;
    shownAt = performance.now();
    window.scrollTo(0, 0);
  });
  document.addEventListener("htmx:response:error", function (event) {
    busy = false;
    var status = event.detail && event.detail.ctx && event.detail.ctx.response
      ? event.detail.ctx.response.status : 0;
    if (status !== 422 && status !== 401) {
      notice("reload");
    }
  });
  document.addEventListener("htmx:error", function () {
    busy = false;
    notice("network");
  });
})();
