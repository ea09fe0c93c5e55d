// What the scripts share: the environment that the Go harness sets, and a line
// of JSON per event on standard output.
import assert from 'node:assert/strict';
import device from 'azure-iot-device';
import mqtt from 'azure-iot-device-mqtt';
import common from 'azure-iot-common';
import iothub from 'azure-iothub';

export { assert };
export const { NoRetry } = common;
export const { Client, ModuleClient, Message } = device;
export const { Mqtt, MqttWs } = mqtt;
export const { Registry, Client: ServiceClient } = iothub;

export function env(name) {
  const value = process.env[name];
  assert.ok(value, `the harness did not set ${name}`);
  return value;
}

export function say(event, fields = {}) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
}

// Deadline fails the script by name instead of hanging until the harness kills it.
export function within(seconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Wraps an emitter's next event as a promise.
export function next(emitter, name) {
  return new Promise((resolve) => emitter.once(name, (...args) => resolve(args)));
}


export function done() {
  say('done');
  process.exit(0);
}
