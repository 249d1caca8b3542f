// The page's entry.

import { render } from "preact";
import { App } from "./app";
import { Store } from "./store";
import "./page.css";
import "./flow.css";
import "./values.css";
import "./tables.css";
import "./alerts.css";
import "./devices/devices.css";
import "./narrow.css";

const store = new Store();
const place = document.getElementById("app");
if (place) render(<App store={store} />, place);
void store.run();
