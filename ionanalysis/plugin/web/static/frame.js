// Stands in a plugin's page, before its scripts. The page runs in a sandboxed frame: it cannot touch the window around
// it, but was written for one of the same origin. What it expects there is here, and goes on as messages.
(function () {
  "use strict";
  var token = document.currentScript.dataset.token;
  var real = window.parent;
  var inFrame = real !== window;
  var rows = [];
  // Pages read the barcode table as they load: it comes with the frame's name, before any message could.
  try { rows = JSON.parse(window.name || "[]"); window.name = ""; } catch (error) { rows = []; }

  function tell(action, content) {
    if (inFrame) real.postMessage({ ionanalysis: action, content: content }, "*");
  }
  function close() { tell("close"); }
  function copy(value) { return JSON.parse(JSON.stringify(value)); }

  // jQuery of the parent window: pages close themselves with it, nothing else is promised.
  function jq() { return handle; }
  var handle = new Proxy(function () { return handle; }, {
    get: function (_, name) { return name === "length" ? 0 : name === Symbol.toPrimitive ? function () { return ""; } : handle; },
  });
  var colorbox = Object.assign(close.bind(null), { close: close, resize: function () {} });
  jq.colorbox = colorbox;
  jq.fn = { colorbox: colorbox };

  var table = {
    show: function () { tell("table", true); return table; },
    hide: function () { tell("table", false); return table; },
  };
  var functions = {
    get_plugin_barcodetable: function () { return copy(rows); },
    update_plugin_barcodetable: function (changed) { rows = copy(changed); tell("rows", rows); },
    plugin_barcodetable_div: table,
  };
  var standIn = {
    $: jq, jQuery: jq, TB_plugin_functions: functions, closePopup: close,
    postMessage: function (message) { if (inFrame) real.postMessage(message, "*"); },
  };
  window.TB_plugin_functions = functions;
  window.parent = standIn;

  // Requests to this server carry the page's token.
  function isOurs(address) { return new URL(address, document.baseURI).host === window.location.host; }
  var open = XMLHttpRequest.prototype.open, send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.open = function (method, address) {
    this.isOurs = isOurs(address);
    return open.apply(this, arguments);
  };
  XMLHttpRequest.prototype.send = function () {
    if (this.isOurs) this.setRequestHeader("X-Plugin-Token", token);
    return send.apply(this, arguments);
  };
  var fetched = window.fetch;
  window.fetch = function (what, options) {
    var request = new Request(what, Object.assign({}, options, { credentials: "omit" }));
    if (!isOurs(request.url)) return fetched(what, options);
    var headers = new Headers(request.headers);
    headers.set("X-Plugin-Token", token);
    return fetched(new Request(request, { headers: headers }));
  };

  function fields() { return Array.from(document.querySelectorAll("form [name], input[name], select[name], textarea[name]")); }
  function restore(config) {
    if (typeof window.restoreForm === "function") return window.restoreForm(config);
    fields().forEach(function (field) {
      var value = config[field.name];
      if (field.type === "radio") field.checked = String(value) === field.value;
      else if (field.type === "checkbox") field.checked = Boolean(value);
      else if (value !== undefined) field.value = value;
    });
    fields().forEach(function (field) { field.dispatchEvent(new Event("change", { bubbles: true })); });
  }
  function serialize() {
    if (typeof window.serializeForm === "function") {
      var given = window.serializeForm();
      try { return typeof given === "string" ? JSON.parse(given) : given; } catch (error) { return given; }
    }
    var config = {};
    fields().forEach(function (field) {
      if (field.type === "radio") { if (field.checked) config[field.name] = field.value; }
      else if (field.type === "checkbox") config[field.name] = field.checked;
      else config[field.name] = field.value;
    });
    return config;
  }

  window.addEventListener("message", function (event) {
    if (event.source !== real || !event.data || !event.data.ionanalysis) return;
    var content = event.data.content;
    if (event.data.ionanalysis === "rows") rows = content;
    if (event.data.ionanalysis === "restore") restore(content);
    if (event.data.ionanalysis === "serialize") tell("serialized", serialize());
  });
  tell("ready");
})();
