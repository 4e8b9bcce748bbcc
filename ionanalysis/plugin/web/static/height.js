// At the end of a plugin's output page: the frame around it becomes as high as what it holds.
(function () {
  "use strict";
  function tell() {
    // Not scrollHeight: that is never less than the frame's own height.
    var all = document.createRange();
    all.selectNodeContents(document.body);
    var height = Math.ceil(all.getBoundingClientRect().bottom + window.scrollY);
    window.parent.postMessage({ ionanalysis: "height", content: height }, "*");
  }
  window.addEventListener("load", tell);
  tell();
})();
