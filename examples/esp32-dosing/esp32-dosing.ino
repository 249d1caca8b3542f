// A dosing machine that keeps the contract of docs/factory-dosing.md: QoS 1, a counter, Unix seconds once NTP has answered, millis() before.
//
// Libraries: WiFi (of the ESP32 core) and MQTT by Joel Gaehwiler (arduino-mqtt), which publishes with QoS 1.

#include <MQTT.h>
#include <WiFi.h>
#include <time.h>

const char *WIFI_NAME = "plant";
const char *WIFI_PASSWORD = "";
const char *BROKER = "192.168.1.10";
const char *DEVICE_ID = "dosing_system_01";

// Earlier times come from a clock that was never set.
const time_t FIRST_VALID_TIME = 1577836800;  // 2020-01-01

WiFiClient network;
MQTTClient mqtt(1024);
unsigned long sent = 0;
unsigned long next_reading_ms = 0;

// Unix seconds if the time is known, else the milliseconds since the start: the gateway tells them apart.
unsigned long timestamp() {
  time_t now = time(nullptr);
  return now > FIRST_VALID_TIME ? (unsigned long)now : millis();
}

// Publish until the broker has acknowledged. A machine that has nothing else to keep its messages in waits here.
void publish(const char *topic, const String &fields) {
  String document = String("{\"device_id\":\"") + DEVICE_ID + "\",\"timestamp\":" + timestamp() + ",\"n\":" + ++sent + "," + fields + "}";
  while (!mqtt.publish(topic, document.c_str(), false, 1)) {
    connect();
  }
}

void on_message(String &topic, String &payload) {
  Serial.println("command: " + payload);
}

void connect() {
  while (WiFi.status() != WL_CONNECTED) {
    delay(500);
  }
  while (!mqtt.connect(DEVICE_ID)) {
    delay(1000);
  }
  mqtt.subscribe("factory/dosing/commands", 1);
}

void setup() {
  Serial.begin(115200);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  configTime(0, 0, "pool.ntp.org");
  mqtt.begin(BROKER, network);
  mqtt.setCleanSession(false);
  mqtt.setKeepAlive(30);
  mqtt.onMessage(on_message);
  connect();
}

// Call this after each dose.
void report_dose(int pump, const char *chemical, const char *recipe, const char *mode, float target_g, float actual_g, unsigned long duration_ms) {
  publish("factory/dosing/consumption",
          String("\"pump\":") + pump + ",\"chemical\":\"" + chemical + "\",\"recipe\":\"" + recipe + "\",\"mode\":\"" + mode +
              "\",\"target_g\":" + String(target_g, 2) + ",\"actual_g\":" + String(actual_g, 2) + ",\"error_g\":" + String(actual_g - target_g, 2) +
              ",\"duration_ms\":" + duration_ms);
}

void loop() {
  mqtt.loop();
  if (!mqtt.connected()) {
    connect();
  }
  if ((long)(millis() - next_reading_ms) >= 0) {
    next_reading_ms = millis() + 10000;
    float celsius = temperatureRead();
    publish("factory/equipment/temperature",
            String("\"location\":\"controller\",\"sensor_type\":\"internal\",\"temperature_c\":") + String(celsius, 2) +
                ",\"temperature_f\":" + String(celsius * 1.8 + 32, 2));
  }
}
