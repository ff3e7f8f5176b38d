/** The grpc-js channel to one member, for all calls but the snapshot. */
import { type ChannelOptions, Client, credentials } from '@grpc/grpc-js';
import { receiveWindow } from './http2-call.ts';
import type { Endpoint } from './target.ts';
import type { MemberTls } from './tls.ts';

/**
 * A dead peer shows within the sum of both. Not more often: etcd takes three pings closer than 5 s (its
 * --grpc-keepalive-min-time) during one silent call for abuse and ends the connection.
 */
const keepaliveMs = 6_000;
const keepaliveTimeoutMs = 4_000;
/** Sent as TLS server name where the endpoint is an address: grpc-js must have one, and Node 26 refuses an address. */
const noServerName = 'address.invalid';

/** A channel that connects on its first call. The caller closes it. */
export function openChannel(endpoint: Endpoint, tls: MemberTls | null): Client {
  const scheme = endpoint.isAddress ? (endpoint.host.includes(':') ? 'ipv6' : 'ipv4') : 'dns';
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  const options: ChannelOptions = {
    'grpc.max_receive_message_length': -1,
    'grpc-node.flow_control_window': receiveWindow,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
    // Connections are not shared between two MemberConnections: closing one must not depend on another.
    'grpc.use_local_subchannel_pool': 1,
    // Like etcdctl: an HTTP proxy in the environment is for the stores, not for etcd.
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_channelz': 0,
  };
  const address = `${scheme}:${host}:${endpoint.port}`;
  if (tls === null) return new Client(address, credentials.createInsecure(), options);
  const channelCredentials = credentials.createFromSecureContext(tls.context, {
    checkServerIdentity: (_host, certificate) => tls.checkIdentity(certificate),
  });
  return new Client(address, channelCredentials, {
    ...options,
    'grpc.ssl_target_name_override': tls.serverName ?? noServerName,
  });
}
