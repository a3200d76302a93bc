// Draw again when the reader switches between light and dark.
const drawings = [...document.querySelectorAll("pre.mermaid")].map((node) => [node, node.textContent]);

async function draw() {
  const chosen = document.body.dataset.theme;
  const dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  const theme = dark ? "dark" : "neutral";
  mermaid.initialize({ startOnLoad: false, theme, flowchart: { wrappingWidth: 500 } });
  for (const [node, text] of drawings) {
    node.removeAttribute("data-processed");
    node.textContent = text;
  }
  await mermaid.run({ nodes: drawings.map(([node]) => node) });
}

draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new MutationObserver(draw).observe(document.body, { attributeFilter: ["data-theme"] });
