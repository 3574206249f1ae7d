// Starts an image with @testcontainers/kafka, says where it answers, and stops it when the input ends.
const { KafkaContainer } = require("@testcontainers/kafka");

async function main([kind, image]) {
  let container = new KafkaContainer(image);
  if (kind.startsWith("kraft")) container = container.withKraft();
  const started = await container.start();
  console.log(`bootstrap ${started.getHost()}:${started.getMappedPort(9093)}`);
  for await (const _ of process.stdin);
  await started.stop();
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
