// Builds the page into python/iiot_gateway/web: one script, one style sheet, both named after their content, and the page itself.
import { build } from "esbuild";
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "python", "iiot_gateway", "web");
// Built beside and then put in place: a gateway that starts meanwhile finds the old page or the new one, never half of one.
const fresh = `${target}.new`;

rmSync(fresh, { recursive: true, force: true });
const result = await build({
  entryPoints: [join(here, "src", "main.tsx")],
  outdir: join(fresh, "assets"),
  entryNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  metafile: true,
  legalComments: "none",
  logLevel: "warning",
});

const built = (ending) => basename(Object.keys(result.metafile.outputs).find((name) => name.endsWith(ending)));
const page = readFileSync(join(here, "index.html"), "utf8")
  .replace("main.js", `assets/${built(".js")}`)
  .replace("main.css", `assets/${built(".css")}`);
mkdirSync(fresh, { recursive: true });
writeFileSync(join(fresh, "index.html"), page);
cpSync(join(here, "favicon.svg"), join(fresh, "favicon.svg"));

// The licences of what is bundled go with it.
const { dependencies } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
const licences = Object.keys(dependencies).map((name) => `${name}\n\n${readFileSync(join(here, "node_modules", name, "LICENSE"), "utf8")}`);
writeFileSync(join(fresh, "licences.txt"), licences.join("\n\n"));

rmSync(target, { recursive: true, force: true });
renameSync(fresh, target);
