"""Row 4: a message over 256 KB ends the connection; raw paho, since the SDK refuses to send it."""
import os
import ssl
import sys
import threading

import paho.mqtt.client as mqtt

from lib import env, say

closed, opened = threading.Event(), threading.Event()
client = mqtt.Client(client_id=env("DEVICE"), protocol=mqtt.MQTTv311)
client.username_pw_set(env("USERNAME"), env("PASSWORD"))
client.tls_set(ca_certs=os.environ["SSL_CERT_FILE"], tls_version=ssl.PROTOCOL_TLSv1_2)
client.on_connect = lambda c, u, f, rc: opened.set() if rc == 0 else sys.exit(f"CONNACK {rc}")
client.on_disconnect = lambda c, u, rc: closed.set()
client.connect("localhost", 8883)
client.loop_start()
assert opened.wait(15), "no CONNACK"
client.publish(f"devices/{env('DEVICE')}/messages/events/", b"x" * (256 * 1024 + 1), qos=1)
assert closed.wait(15), "the connection stayed open"
say("done")
os._exit(0)
