//! The repository: reachable, its list, its files, its time.

use wpk_testkit::http::{HttpServer, Response, tls_config};

use crate::site::{FOLDER, Site, healthy};

/// SHA-1 of `other bytes`.
const OTHER: &str = "ccc54cc15249df3ec90bd48997e5dcada11e8fbf";
const SHA: &str = "4f2d06a2af3802730ed038e5a070815a525afdc4";

async fn listing(list: &str) -> Site {
    let list = list.to_owned();
    Site::new(move |request| match request.target.ends_with("/versions") {
        true => Response::new(200, list.clone()),
        false => Response::new(404, "no"),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_http_status_is_told() {
    for (status, advice) in [
        (404, "no such path"),
        (403, "let us in"),
        (500, "server's log"),
    ] {
        let site = Site::new(move |_| Response::new(status, "no")).await;
        let line = site.line("repository", &[]);
        assert!(line.starts_with("failure "), "{line}");
        assert!(
            line.contains(&format!("/versions: HTTP {status}")),
            "{line}"
        );
        assert!(line.contains(advice), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_cause_in_tls_is_told() {
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    let key = rcgen::KeyPair::generate().unwrap();
    let own = params.self_signed(&key).unwrap().pem();
    let tls = tls_config(&own, &key.serialize_pem()).unwrap();
    let server = HttpServer::start_tls(healthy(Vec::new()), tls)
        .await
        .unwrap();
    let url = format!("{}wpk/", server.url());
    let site = Site::at(&url, server);
    let line = site.line("repository", &[]);
    assert!(
        line.contains("UnknownIssuer") && line.contains("; the server's CA"),
        "{line}"
    );

    // Plain HTTP where TLS is expected.
    let server = HttpServer::start(healthy(Vec::new())).await.unwrap();
    let url = server.url().replace("http://", "https://");
    let site = Site::at(&url, server);
    assert!(site.line("repository", &[]).starts_with("failure "));

    site.configure(&format!(
        "[[provider]]\ntype = \"repository\"\nurl = \"{url}\"\nca_file = \"etc/none.pem\"\n"
    ));
    let line = site.line("repository", &[]);
    assert!(
        line.contains("etc/none.pem") && line.contains("No such file"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn lists_are_judged() {
    for (list, level, said) in [
        (
            format!("v4.14.0 {SHA}\r\n# note\n\n4.13.0 {SHA} more\n"),
            "ok",
            "2 listed, the newest is v4.14.0",
        ),
        ("<html>".to_owned(), "failure", "lists no version"),
        (
            format!("\u{feff}v4.14.0 {SHA}\nv4.14.0-rc1 {SHA}\nv4.13.0 {SHA}\n"),
            "ok",
            "3 listed, the newest is v4.14.0",
        ),
        (
            format!("v4.15.0-beta1 {SHA}\nv4.14.0 {SHA}\n"),
            "ok",
            "2 listed, the newest is v4.14.0",
        ),
        (
            format!("v4.14.0-rc1 {SHA}\n"),
            "warning",
            "lists pre-releases only",
        ),
        (
            format!("v4.14.0 {SHA}\nlatest\nv4.1 {SHA}\n"),
            "warning",
            "2 of its lines make no sense (line 2, 3)",
        ),
        (
            format!("v4.13.0 {SHA}\nv4.14.0 {SHA}\n"),
            "warning",
            "begins with v4.13.0, but lists v4.14.0",
        ),
        (
            format!("v4.13.0 {SHA}\n"),
            "warning",
            "does not list v4.14.0, the manager's own version",
        ),
    ] {
        let site = listing(&list).await;
        let line = site.line("versions", &[]);
        assert!(line.starts_with(level) && line.contains(said), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn files_that_do_not_fit_the_list_are_named() {
    let site = listing(&format!("v4.14.0 {SHA}\nv4.13.0 {SHA}\n")).await;
    let line = site.line("files", &["--download"]);
    assert!(
        line.starts_with("failure ") && line.contains("2 of 2 are bad"),
        "{line}"
    );
    assert!(line.contains("HTTP 404"), "{line}");
    let line = site.line("files", &["--download", "1"]);
    assert!(line.contains("1 of 1 are bad: v4.14.0 ("), "{line}");
    assert!(
        line.contains(&format!("{FOLDER}/wazuh_agent_v4.14.0_linux_amd64.deb.wpk")),
        "{line}"
    );

    let site = Site::new(|request| match request.target.ends_with("/versions") {
        true => Response::new(200, format!("v4.14.0 {SHA}\n")),
        false => Response::new(200, "other bytes"),
    })
    .await;
    let line = site.line("files", &["--download"]);
    let said = format!("its SHA-1 is {OTHER}, listed is {SHA}");
    assert!(line.contains(&said), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_platform_decides_the_folder() {
    let site = listing(&format!("v4.14.0 {SHA}\n")).await;
    for (arguments, folder) in [
        (
            &["--package-type", "rpm"][..],
            "/wpk/linux/rpm/x86_64/versions",
        ),
        (&["--platform", "windows"], "/wpk/windows/versions"),
        (
            &["--platform", "macos", "--arch", "arm64"],
            "/wpk/macos/pkg/arm64/versions",
        ),
        (&["--agent", "1"], "/wpk/linux/deb/amd64/versions"),
    ] {
        let line = site.line("repository", arguments);
        assert!(line.contains(folder), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_file_is_looked_at_once_and_as_the_manager_takes_it() {
    let zeros = "0".repeat(40);
    // The candidate and the double stand aside for the release.
    let list = format!("v4.14.0-rc1 {zeros}\nv4.14.0 {OTHER}\nv4.14.0 {zeros}\n");
    let site = Site::new(move |request| match request.target.ends_with("/versions") {
        true => Response::new(200, list.clone()),
        false => Response::new(200, "other bytes"),
    })
    .await;
    let line = site.line("files", &["--download"]);
    assert!(line.contains("1 of 1 have the SHA-1"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_address_that_is_none_is_told() {
    let site = listing(&format!("v4.14.0 {SHA}\n")).await;
    for (url, said) in [
        ("ftp://mirror.example/", "only http:// and https://"),
        ("mirror.example/?x", "a query"),
    ] {
        site.configure(&format!(
            "[[provider]]\ntype = \"repository\"\nurl = \"{url}\"\n"
        ));
        let line = site.line("repository", &[]);
        assert!(
            line.starts_with("failure ") && line.contains(said),
            "{line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_clock_that_is_off_is_told() {
    let site = Site::new(|_| {
        Response::new(200, format!("v4.14.0 {SHA}\n"))
            .header("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
    })
    .await;
    let line = site.line("clock", &[]);
    assert!(
        line.starts_with("failure ") && line.contains("; synchronise"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn older_layouts_are_looked_at_as_for_an_upgrade() {
    let old = "/wpk/linux/x86_64/versions";
    let site = Site::new(move |request| match request.target == old {
        true => Response::new(200, format!("v4.8.2 {SHA}\n")),
        false => Response::new(404, "no"),
    })
    .await;
    // There an upgrade that names no version asks for the manager's own.
    let line = site.line("repository", &[]);
    assert!(
        line.starts_with("failure ") && line.contains(FOLDER),
        "{line}"
    );
    let settings = std::fs::read_to_string(site.config()).unwrap();
    let settings = settings.replace("\"wazuh-4\"", "\"documented\"");
    std::fs::write(site.config(), settings).unwrap();
    let line = site.line("repository", &[]);
    assert!(line.starts_with("ok ") && line.contains(old), "{line}");
    assert!(site.line("versions", &[]).ends_with("the newest is v4.8.2"));
}
