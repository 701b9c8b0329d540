// The page works without this: it only picks the language that the browser asks for, keeps <html lang>
// right for screen readers, and offers the figures as a file.
(function () {
  var radios = document.querySelectorAll('input[name="language"]');
  function tell() {
    var zh = document.getElementById("language-zh").checked;
    document.documentElement.lang = zh ? "zh-Hans" : "en";
  }
  radios.forEach(function (radio) {
    radio.addEventListener("change", function () {
      tell();
      // So that a page that loads itself again stays in the chosen language.
      history.replaceState(null, "", "#lang=" + document.documentElement.lang.slice(0, 2));
    });
  });
  var wanted = new URLSearchParams(location.search).get("lang") || location.hash.replace("#lang=", "");
  if (wanted !== "zh" && wanted !== "en") wanted = (navigator.language || "en").slice(0, 2);
  document.getElementById(wanted === "zh" ? "language-zh" : "language-en").checked = true;
  tell();
  var save = document.getElementById("save");
  save.hidden = false;
  save.addEventListener("click", function () {
    var text = document.getElementById("metrics").textContent;
    var link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = "metrics.json";
    link.click();
    setTimeout(function () { URL.revokeObjectURL(link.href); }, 1000);
  });
})();
