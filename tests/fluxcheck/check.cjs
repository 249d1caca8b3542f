// Reads a JSON list of Flux texts from standard input and prints, as JSON, for each whether it is valid: syntax, functions, arguments, types, imports.
const { is_valid_flux } = require("@influxdata/flux-lsp-node");
const texts = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(texts.map((text) => is_valid_flux(text))));
