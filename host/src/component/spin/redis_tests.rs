use std::time::Instant;

use super::*;

#[path = "../../../tests/common/redis.rs"]
mod server;

#[path = "redis_tls_tests.rs"]
mod tls;

fn connections() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_CONNECTIONS))
}

async fn connect(server: &server::Redis) -> OpenRedis {
    let address = server.address();
    let allowed = [address.parse().unwrap()];
    OpenRedis::connect(&address, &allowed, connections(), trusted).await.unwrap()
}

impl OpenRedis {
    async fn query(&self, name: &str, arguments: &[&str]) -> Result<Value, Error> {
        send(self.connection.clone(), command(name, arguments)).await
    }

    async fn list(&self, name: &str, arguments: &[&str]) -> Result<Vec<RedisResult>, Error> {
        let mut results = Vec::new();
        flatten(self.query(name, arguments).await?, &mut results)?;
        Ok(results)
    }
}

#[tokio::test]
async fn what_is_not_named_is_not_reached() {
    let Some(server) = server::Redis::start() else { return };
    let allowed = [server.address().parse().unwrap()];
    for address in [
        "",
        "junk",
        "redis://localhost:1",
        "redis+unix:///tmp/redis.sock",
        "unix:///tmp/redis.sock",
        "http://127.0.0.1",
        &server.address().replace("redis://", "rediss://"),
        &format!("{}#insecure", server.address()),
        &format!("{}/#insecure", server.address()),
        &server.address().replace("127.0.0.1", "127.0.0.2"),
        &format!("redis://127.0.0.1@example.com:{}", &server.address()[18..]),
    ] {
        let refused = OpenRedis::connect(address, &allowed, connections(), trusted).await.map(drop);
        assert!(matches!(refused, Err(Error::InvalidAddress)), "{address}: {refused:?}");
    }
    let refused =
        OpenRedis::connect(&server.address(), &[], connections(), trusted).await.map(drop);
    assert!(matches!(refused, Err(Error::InvalidAddress)));
}

#[tokio::test]
async fn values_come_back_as_they_were() {
    let Some(server) = server::Redis::start() else { return };
    let redis = connect(&server).await;
    assert_eq!(redis.query("GET", &["a"]).await.unwrap(), Value::Nil);
    redis.query("SET", &["a", "é"]).await.unwrap();
    assert_eq!(binary(redis.query("GET", &["a"]).await.unwrap()).unwrap(), "é".as_bytes());
    assert_eq!(integer(redis.query("INCR", &["n"]).await.unwrap()).unwrap(), 1);
    assert_eq!(count(redis.query("SADD", &["s", "x", "y"]).await.unwrap()).unwrap(), 2);
    let nested = "return {1, 'a', {2, {ok = 'fine'}}, false}";
    let results = redis.list("EVAL", &[nested, "0"]).await.unwrap();
    let [
        RedisResult::Int64(1),
        RedisResult::Binary(a),
        RedisResult::Int64(2),
        RedisResult::Status(fine),
        RedisResult::Nil,
    ] = &results[..]
    else {
        panic!("{results:?}")
    };
    assert_eq!((&a[..], &**fine), (&b"a"[..], "fine"));
}

#[tokio::test]
async fn failures_are_the_interfaces_own() {
    let Some(server) = server::Redis::start() else { return };
    let redis = connect(&server).await;
    redis.query("SET", &["text", "x"]).await.unwrap();
    for (name, arguments) in [("INCR", &["text"][..]), ("SADD", &["text", "a"])] {
        let failed = redis.query(name, arguments).await;
        assert!(matches!(failed, Err(Error::TypeError)), "{name}: {failed:?}");
    }
    let failed = redis.query("NOTHING", &[]).await;
    assert!(matches!(failed, Err(Error::Other(_))), "{failed:?}");
    // By this a script is known to be unknown.
    let unknown = redis.list("EVALSHA", &["0123456789012345678901234567890123456789", "0"]).await;
    let Err(Error::Other(reason)) = unknown else { panic!("{unknown:?}") };
    assert!(reason.to_ascii_lowercase().contains("noscript"), "{reason}");
}

#[tokio::test]
async fn connections_and_sizes_are_bounded() {
    let Some(server) = server::Redis::start() else { return };
    let (address, connections) = (server.address(), connections());
    let allowed = [address.parse().unwrap()];
    let mut open = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        open.push(
            OpenRedis::connect(&address, &allowed, connections.clone(), trusted).await.unwrap(),
        );
    }
    let one_more =
        OpenRedis::connect(&address, &allowed, connections.clone(), trusted).await.map(drop);
    assert!(matches!(one_more, Err(Error::TooManyConnections)));
    open.pop();
    let redis = OpenRedis::connect(&address, &allowed, connections.clone(), trusted).await.unwrap();

    let long = "x".repeat(MAX_COMMAND);
    assert!(matches!(redis.query("SET", &["a", &long]).await, Err(Error::Other(_))));
    assert!(redis.query("SET", &["a", &long[..MAX_COMMAND - 100]]).await.is_ok());
    // Larger than this host reads, though it is made of a small command.
    let large = format!("return string.rep('x', {})", MAX_READ + 1);
    let failed = redis.query("EVAL", &[&large, "0"]).await;
    assert!(matches!(failed, Err(Error::Other(_))), "{:?}", failed.map(drop));
}

#[tokio::test(flavor = "current_thread")]
async fn a_server_that_does_not_answer_is_waited_for_a_while() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("redis://{}", silent.local_addr().unwrap());
    let allowed = [address.parse().unwrap()];
    let begun = Instant::now();
    let accepted = async {
        let connection = silent.accept().await.unwrap();
        std::future::pending::<()>().await;
        drop(connection);
    };
    let failed = tokio::select! {
        failed = OpenRedis::connect(&address, &allowed, connections(), trusted) => failed.map(drop),
        () = accepted => unreachable!(),
    };
    assert!(matches!(failed, Err(Error::Other(_))), "{failed:?}");
    assert!(begun.elapsed() < CONNECT_TIMEOUT * 2);
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_and_no_hang() {
    let Some(mut server) = server::Redis::start() else { return };
    let redis = connect(&server).await;
    server.kill();
    assert!(matches!(redis.query("GET", &["a"]).await, Err(Error::Other(_))));
    let allowed = [server.address().parse().unwrap()];
    let refused =
        OpenRedis::connect(&server.address(), &allowed, connections(), trusted).await.map(drop);
    assert!(matches!(refused, Err(Error::Other(_))));
    server.start_again();
    assert!(connect(&server).await.query("GET", &["a"]).await.is_ok());
}
