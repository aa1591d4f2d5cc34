// What pages do a little better with a script. Every page works without it.
"use strict";

// A button that copies, beside every block that is meant to be pasted.
for (const block of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy the ${block.previousElementSibling.textContent} lines`);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(block.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(block);
      button.textContent = "Selected: copy it";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  block.before(button);
}

// The seconds that a slip still has to live. The service decides by its own clock; this one only shows.
for (const life of document.querySelectorAll("[data-left-s]")) {
  const text = life.querySelector(".life-text");
  const endsAtMs = performance.now() + Number(life.dataset.leftS) * 1000;
  const tick = () => {
    const leftS = Math.max(0, Math.ceil((endsAtMs - performance.now()) / 1000));
    text.textContent = leftS ? `${leftS} s left` : "its time is over";
    life.classList.toggle("is-over", !leftS);
    if (leftS) setTimeout(tick, 250);
  };
  tick();
}
