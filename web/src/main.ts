/** The page: state on one side, panels on the other, and who is told of what. */

import "./styles/tokens.css";
import "./styles/layout.css";
import "./styles/viewer.css";
import "./styles/panels.css";

import { fetchModels } from "./api";
import { $, placeIcons } from "./dom";
import { downloadResults } from "./download";
import { chooseLanguage, type Language, startLanguage } from "./i18n";
import { listenForFiles } from "./panels/dropping";
import { showFiles } from "./panels/files";
import { showFindings, spoken } from "./panels/findings";
import { listenToKeys, openKeys } from "./panels/keys";
import { showModel } from "./panels/model";
import { showProgress, showWelcome, Stage } from "./panels/stage";
import { showToolbar } from "./panels/toolbar";
import { addExample } from "./reading";
import { changed, listen, type Part, selectedItem, state } from "./state";
import { listenToPointers } from "./viewer/gestures";
import { Viewer } from "./viewer/viewer";

const viewer = new Viewer($<HTMLCanvasElement>("canvas"));
const stage = new Stage(viewer);

const SHOWS: Record<Part, (() => void)[]> = {
  models: [showModel, showWelcome, findings],
  items: [showFiles],
  selected: [showFiles, show, findings, announce],
  progress: [showProgress],
  tool: [() => showToolbar(stage), () => stage.notes()],
  heat: [() => stage.lay(), () => showToolbar(stage)],
  labels: [() => stage.lay()],
  language: [showModel, showWelcome, showFiles, show, findings, () => showToolbar(stage), () => viewer.draw()],
};

listen((part) => SHOWS[part].forEach((show) => show()));
viewer.onChange = () => stage.notes();

placeIcons(document);
startLanguage();
listenForFiles();
listenToKeys(stage);
listenToPointers(viewer, (at) => stage.value(at));
$("open-keys").addEventListener("click", openKeys);
$("download").addEventListener("click", downloadResults);
for (const id of ["example", "welcome-example"]) $(id).addEventListener("click", () => void addExample());
for (const button of document.querySelectorAll<HTMLElement>("[data-language-choice]")) {
  button.addEventListener("click", () => chooseLanguage(button.dataset.languageChoice as Language));
}
void start();

async function start(): Promise<void> {
  try {
    const { models, upload_bytes: bytes } = await fetchModels();
    Object.assign(state, { models, model: models[0] ?? null, uploadBytes: bytes, offline: false });
  } catch {
    state.offline = true;
  }
  changed("models");
}

function show(): void {
  void stage.show();
}

function findings(): void {
  showFindings(stage);
}

function announce(): void {
  const item = selectedItem();
  const done = item?.status === "read" || item?.status === "refused";
  $("announce").textContent = item && done ? spoken(item) : "";
}
