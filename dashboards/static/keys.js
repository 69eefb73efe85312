// Keys press what shows them. Digits, signs and arrows survive Telex and VNI typing.
(function () {
  "use strict";
  // A key pressed for the page before must not decide the page after it.
  var QUIET_MS = 250;
  var shownAt = performance.now() - QUIET_MS;
  var busy = false;
  var mode = ""; // the list whose boxes the digits tick, where one was opened by key

  function typing(target) {
    if (!(target instanceof Element)) return false;
    if (target.closest("textarea, select, [contenteditable]")) return true;
    var input = target.closest("input");
    return input !== null && input.type !== "checkbox";
  }

  function modeOf(element) {
    if (element.dataset.enter) return ""; // what opens a list stands outside it
    var list = element.closest("[data-mode]");
    return list && element.type === "checkbox" ? list.dataset.mode : "";
  }

  function find(key, inside) {
    return Array.from(document.querySelectorAll("[data-key]")).find(function (element) {
      return modeOf(element) === inside && element.dataset.key.split(" ").includes(key);
    });
  }

  function unfold(element) {
    for (var d = element.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
  }

  function enter(name) {
    mode = name;
    document.querySelectorAll("[data-mode]").forEach(function (list) {
      list.classList.toggle("active", list.dataset.mode === name);
      if (list.dataset.mode !== name) return;
      list.querySelectorAll("details").forEach(function (d) {
        if (d.querySelector("input[type=checkbox]")) d.open = true;
      });
      unfold(list);
      list.scrollIntoView({ block: "nearest" });
    });
  }

  function press(element) {
    if (element.dataset.enter) {
      enter(mode === element.dataset.enter ? "" : element.dataset.enter);
    } else if (typing(element)) {
      unfold(element);
      element.focus();
      if (element.select) element.select();
    } else {
      element.click();
    }
  }

  // On the page of the keys a field takes the key that is pressed in it.
  function caught(event) {
    var field = event.target;
    if (!(field instanceof Element) || !("catch" in field.dataset)) return false;
    if (["Tab", "Escape", "Shift", "F5"].includes(event.key)) return true;
    event.preventDefault();
    if (event.key === "Backspace" && field.value) { field.value = ""; return true; }
    if (event.key !== " ") field.value = (field.value + " " + event.key).trim();
    return true;
  }

  document.addEventListener("keydown", function (event) {
    if (event.defaultPrevented || event.repeat) return;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.isComposing || event.keyCode === 229) return;
    if (caught(event)) return;
    if (event.key === "Escape") {
      if (typing(event.target)) event.target.blur();
      else enter("");
      return;
    }
    if (typing(event.target)) {
      var go = event.key === "Enter" && event.target.dataset.go;
      if (go) { event.preventDefault(); document.getElementById(go).click(); }
      return;
    }
    // Shift is needed for a sign on many keyboards, never for a letter, a digit or an arrow.
    if (event.shiftKey && (event.key.length > 1 || /[a-z0-9]/i.test(event.key))) return;
    if (event.key === "Enter" && event.target instanceof Element) {
      if (event.target.closest("input")) event.preventDefault(); // else it presses the first button
      if (event.target.closest("a, button, summary, input")) return; // the element's own meaning
    }
    if (busy || performance.now() - shownAt < QUIET_MS) return;
    var wanted = mode && find(event.key, mode);
    if (!wanted && mode && /^[0-9]$/.test(event.key)) return; // no box: it decides nothing
    wanted = wanted || find(event.key, "");
    if (!wanted) return;
    event.preventDefault();
    press(wanted);
  });

  function notice(name) {
    var place = document.getElementById("notice");
    place.textContent = name && place.dataset[name];
    place.hidden = name === "";
  }

  document.addEventListener("htmx:before:request", function () { busy = true; notice(""); });
  document.addEventListener("htmx:finally:request", function () { busy = false; });
  document.addEventListener("htmx:after:swap", function (event) {
    busy = false;
    var swapped = event.detail && event.detail.ctx && event.detail.ctx.target;
    if (swapped && swapped.id === "found") { enter("passages"); return; }
    mode = "";
    shownAt = performance.now();
    if (document.activeElement instanceof HTMLElement && typing(document.activeElement)) document.activeElement.blur();
    window.scrollTo(0, 0);
  });
  document.addEventListener("htmx:response:error", function (event) {
    busy = false;
    var status = event.detail && event.detail.ctx && event.detail.ctx.response
      ? event.detail.ctx.response.status : 0;
    if (status !== 422 && status !== 401) notice("reload");
  });
  document.addEventListener("htmx:error", function () {
    busy = false;
    notice("network");
  });
})();
