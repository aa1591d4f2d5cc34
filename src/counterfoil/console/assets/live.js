// Pages that keep themselves up to date: the page is asked again, and each of its parts takes the place of the old one.
// Without this script the same page has a link to load it again.
"use strict";

for (const holder of document.querySelectorAll("[data-live-every-s]")) {
  const everyMs = Number(holder.dataset.liveEveryS) * 1000;
  const text = holder.querySelector(".live-text");
  const said = document.createElement("span");
  const pause = document.createElement("button");
  let paused = false, timer = 0, asking = false, saying = "";

  const say = (words, state, link) => {
    if (words === saying) return;
    saying = words;
    holder.dataset.state = state;
    said.textContent = words;
    if (link) {
      const way = document.createElement("a");
      way.href = link;
      way.textContent = "Log in again";
      said.append(" ", way);
    }
  };

  // What cannot be seen is not asked for.
  const wait = () => {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(ask, everyMs);
  };

  const end = () => {
    paused = true;
    pause.remove();
    say("Your session has ended.", "late", "/console/login");
  };

  async function ask() {
    if (asking) return;
    asking = true;
    try {
      const answer = await fetch(location.href, {
        headers: { "Counterfoil-Live": "1" }, cache: "no-store", signal: AbortSignal.timeout(10000),
      });
      if (answer.redirected || answer.status === 401) return end();
      if (!answer.ok) throw new Error(String(answer.status));
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      say("Live", "live");
    } catch {
      say("No answer. Shown is what was last heard.", "late");
    } finally {
      asking = false;
    }
    wait();
  }

  pause.type = "button";
  pause.className = "quiet";
  pause.textContent = "Pause";
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    if (paused) say("Paused", "paused");
    else ask();
    wait();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !paused) ask(); });
  said.className = "live-said";
  said.setAttribute("role", "status");
  holder.querySelector(".live-again").replaceWith(pause);
  text.before(said);
  say("Live", "live");
  wait();
}

function replace(page) {
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = page.getElementById(part.id);
    if (!fresh) continue;
    if (part.classList.contains("chart")) {
      Object.assign(part.dataset, fresh.dataset);
      part.dispatchEvent(new Event("fresh"));
    } else if (part.innerHTML !== fresh.innerHTML) {
      part.replaceChildren(...fresh.childNodes);
    }
  }
}
