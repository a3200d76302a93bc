"use strict";

// Airflow's page has the class "dark" or "light". It is the parent of this page in Airflow, and this page elsewhere.
const airflow = parent.document.documentElement;
function followTheme() {
  const theme = ["dark", "light"].find((name) => airflow.classList.contains(name));
  if (!theme) return;
  const { style } = document.documentElement;
  style.colorScheme = theme;
  const ground = parent.getComputedStyle(airflow).backgroundColor;
  if (ground !== "rgba(0, 0, 0, 0)") style.setProperty("--ground", ground);
}
followTheme();
new MutationObserver(followTheme).observe(airflow, { attributes: true, attributeFilter: ["class"] });

// A picture that cannot be shown answers with a sentence.
async function reasonFor(address) {
  try {
    const reply = await fetch(address);
    return reply.ok ? "The picture could not be loaded." : await reply.text();
  } catch {
    return "The API server cannot be reached.";
  }
}

const shots = [...document.querySelectorAll("button.shot")];
for (const shot of shots) {
  const image = shot.querySelector("img");
  const explain = async () => {
    const note = document.createElement("span");
    note.className = "note";
    note.textContent = await reasonFor(image.src);
    image.replaceWith(note);
  };
  if (image.complete && image.src && !image.naturalWidth && image.loading !== "lazy") explain();
  else image.addEventListener("error", explain, { once: true });
}

const lightbox = document.getElementById("lightbox");
if (lightbox) {
  const find = (selector) => lightbox.querySelector(selector);
  const [image, message, where] = [find("img"), find(".message"), find(".where")];
  const [previous, next] = [find(".previous"), find(".next")];
  let at = 0;

  const show = (index) => {
    at = index;
    const shot = shots[at];
    message.hidden = true;
    image.hidden = false;
    image.src = shot.dataset.large;
    image.alt = shot.dataset.title;
    where.textContent = `${shot.dataset.title} (${at + 1} of ${shots.length})`;
    find("a.download").href = shot.dataset.file;
    find(".facts").replaceChildren(...shot.parentElement.querySelector(".facts").cloneNode(true).childNodes);
    // A disabled button would lose the focus.
    previous.setAttribute("aria-disabled", at === 0);
    next.setAttribute("aria-disabled", at === shots.length - 1);
  };
  const turn = (step) => {
    if (shots[at + step]) show(at + step);
  };

  image.addEventListener("error", async () => {
    const failed = image.src;
    const reason = await reasonFor(failed);
    if (image.src !== failed) return;
    image.hidden = true;
    message.textContent = reason;
    message.hidden = false;
  });
  shots.forEach((shot, index) => {
    shot.addEventListener("click", () => {
      show(index);
      lightbox.showModal();
    });
  });
  previous.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  find(".close").addEventListener("click", () => lightbox.close());
  lightbox.addEventListener("click", (event) => {
    if (event.target === lightbox || event.target.classList.contains("stage")) lightbox.close();
  });
  lightbox.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") turn(-1);
    if (event.key === "ArrowRight") turn(1);
    // A browser lets the focus leave a dialog for its own buttons, and in a frame for the page around it.
    const stops = [...lightbox.querySelectorAll("a, button")];
    const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
    if (event.key === "Tab" && document.activeElement === from) {
      event.preventDefault();
      to.focus();
    }
  });
  lightbox.addEventListener("close", () => shots[at].focus());
}
