// Sends what it is told with Splunk's own client; prints the answer. Arguments: url, token, path, then messages as JSON.
const { Logger } = require("splunk-logging");

const [url, token, path, ...messages] = process.argv.slice(2);
const logger = new Logger({ url, token, path, maxBatchCount: 0, maxRetries: 0 });
logger.error = () => {}; // it would print and go on; the answer is printed below
for (const message of messages) {
  logger.send({ message: JSON.parse(message), metadata: { source: "foreign", sourcetype: "foreign:json" } });
}
logger.flush((error, response, body) => {
  process.stdout.write(JSON.stringify({ error: error && error.message, status: response && response.statusCode, body }));
});
