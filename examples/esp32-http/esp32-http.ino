// A device that sends over HTTP, and sends again until it is answered; see docs/guides/first-device.md.
//
// Libraries: WiFi and HTTPClient (both of the ESP32 core).

#include <HTTPClient.h>
#include <WiFi.h>

const char *WIFI_NAME = "home";
const char *WIFI_PASSWORD = "";
const char *URL = "http://192.168.1.10:5000/api/v1/devices/telemetry";
const char *KEY = "iiotd_...";
const unsigned long INTERVAL_MS = 10000;

// Different at each start, so that a message id never comes twice.
uint32_t run_id = 0;
unsigned long sent = 0;
unsigned long next_ms = 0;

void setup() {
  Serial.begin(115200);
  run_id = esp_random();
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
}

// Post a document; true if the gateway has it, or will never take it.
bool post(const String &document) {
  HTTPClient http;
  http.setTimeout(15000);
  if (!http.begin(URL)) {
    return false;
  }
  http.addHeader("Content-Type", "application/json");
  http.addHeader("X-API-Key", KEY);
  int status = http.POST(document);
  Serial.println(status);
  if (status >= 400) {
    Serial.println(http.getString());
  }
  http.end();
  // 429 and 503 ask to come again; a negative status means that there was no answer.
  return status > 0 && status != 429 && status < 500;
}

void loop() {
  if ((long)(millis() - next_ms) < 0) {
    delay(50);
    return;
  }
  next_ms = millis() + INTERVAL_MS;
  String document = String("{\"type\":\"temperature\",\"data\":{\"temperature\":") + String(temperatureRead(), 2) + "},\"message_id\":\"" +
                    String(run_id, HEX) + "-" + String(++sent) + "\"}";
  // The same document with the same id is stored once, however often it is sent.
  while (WiFi.status() != WL_CONNECTED || !post(document)) {
    delay(2000);
  }
}
