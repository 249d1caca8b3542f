// A device that sends over MQTT, carries out commands, and leaves a last will; see docs/devices.md.
//
// Libraries: WiFi (of the ESP32 core), MQTT by Joel Gaehwiler (arduino-mqtt), ArduinoJson.

#include <ArduinoJson.h>
#include <MQTT.h>
#include <WiFi.h>

const char *WIFI_NAME = "home";
const char *WIFI_PASSWORD = "";
const char *BROKER = "192.168.1.10";
const char *DEVICE_ID = "board1";
const char *KEY = "iiotd_...";

WiFiClient network;
MQTTClient mqtt(1024);
unsigned long interval_ms = 10000;
unsigned long next_ms = 0;
long last_command = 0;
long done_command = 0;

String topic(const char *rest) {
  return String("iotflow/devices/") + DEVICE_ID + "/" + rest;
}

// Publishing is not allowed in here, so what is to be answered is only noted.
void on_message(String &name, String &payload) {
  JsonDocument document;
  if (deserializeJson(document, payload)) {
    return;
  }
  if (name.endsWith("/commands/config")) {
    interval_ms = document["configuration"]["interval_ms"] | interval_ms;
    return;
  }
  long command = document["command_id"] | 0L;
  // A command may come again after a restart of the gateway.
  if (command > last_command) {
    Serial.println("command " + payload);
    last_command = command;
  }
  done_command = command;
}

void connect() {
  while (WiFi.status() != WL_CONNECTED) {
    delay(500);
  }
  String will = topic("status/offline");
  mqtt.setWill(will.c_str(), "{\"status\":\"offline\"}", false, 1);
  while (!mqtt.connect(DEVICE_ID, DEVICE_ID, KEY)) {
    delay(1000);
  }
  mqtt.subscribe(topic("commands/#"), 1);
}

// Publish until the broker has acknowledged: then the gateway has the value.
void publish(const String &name, const String &document) {
  while (!mqtt.publish(name, document, false, 1)) {
    connect();
  }
}

void setup() {
  Serial.begin(115200);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  mqtt.begin(BROKER, network);
  mqtt.setKeepAlive(30);
  mqtt.onMessage(on_message);
  connect();
}

void loop() {
  mqtt.loop();
  if (!mqtt.connected()) {
    connect();
  }
  if (done_command > 0) {
    publish(topic("status/command"), String("{\"command_id\":") + done_command + "}");
    done_command = 0;
  }
  if ((long)(millis() - next_ms) >= 0) {
    next_ms = millis() + interval_ms;
    publish(topic("telemetry/temperature"), String("{\"temperature\":") + String(temperatureRead(), 2) + "}");
  }
}
