// Usage: node client.cjs PORT VERSION(4 = 3.1.1, 5) FILTER TOPIC PAYLOAD: subscribe at QoS 1, publish retained at QoS 1,
// print "topic payload retained" for the first message on TOPIC.
const mqtt = require("mqtt");
const [port, version, filter, topic, payload] = process.argv.slice(2);
const client = mqtt.connect({ host: "127.0.0.1", port: Number(port), protocolVersion: Number(version), reconnectPeriod: 0 });
const fail = (error) => {
  console.error(String(error));
  process.exit(1);
};
client.on("error", fail);
client.on("close", () => fail("closed"));
client.on("connect", () =>
  client.subscribe(filter, { qos: 1 }, (error) => {
    if (error) fail(error);
    client.publish(topic, payload, { qos: 1, retain: true }, (error) => error && fail(error));
  }),
);
client.on("message", (seen, bytes, packet) => {
  if (seen !== topic) return;
  console.log(seen, bytes.toString(), packet.retain);
  process.exit(0);
});
